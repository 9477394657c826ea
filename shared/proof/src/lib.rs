//! A proof that the responder contains: it makes victims of its own, shows each attack working, contains it,
//! shows the attack failing and the bystanders unharmed, releases, and removes all that it made.

#[cfg(test)]
mod fixtures;
pub mod page;
pub mod record;
pub mod table;
