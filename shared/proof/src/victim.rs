//! The victims of a proof: each is made, can be attacked, and has bystanders.

mod archive;
mod bucket;
mod function;
mod instance;
mod key;
mod made;
mod role;

use remediation::error::Result;

pub(crate) use self::function::FUNCTIONS;
use self::made::NotShown;
pub(crate) use self::made::{Made, make_bucket};
use crate::context::Context;
use crate::record::Victim;

/// Makes a victim.
///
/// # Errors
/// The failure. `Ok(Err(_))`: why the account does not let it be attacked.
pub(crate) async fn make(
    context: &Context<'_>,
    victim: Victim,
    data: &str,
) -> Result<std::result::Result<Made, NotShown>> {
    let made = match victim {
        Victim::PublicBucket => return Box::pin(bucket::make(context)).await,
        Victim::StolenKey => Box::pin(key::make(context, data)).await,
        Victim::StolenRoleSession => Box::pin(role::make(context, data)).await,
        Victim::InfectedInstance => Box::pin(instance::make(context, data)).await,
        Victim::HijackedFunction => Box::pin(function::make(context, data)).await,
    };
    match made {
        Err(error) if error.is_denied() => Ok(Err(format!(
            "the account does not let the victim be made: {error}"
        ))),
        made => made.map(Ok),
    }
}
