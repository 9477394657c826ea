//! Users and roles that are never contained.

/// A containable entity of IAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A user.
    User,
    /// A role.
    Role,
}

/// An entry of `NEVER_CONTAIN` or `RESPONDER_ROLES`: a name is for every account and for users and roles, an
/// ARN for what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spared<'a> {
    entity: Option<Entity>,
    account: Option<&'a str>,
    name: &'a str,
}

impl<'a> Spared<'a> {
    /// Reads a name, an ARN of a user or role, or that of a role's session, which is for the role,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
    ///
    /// # Errors
    /// Returns why the entry names nobody if it is none of these.
    pub fn parse(entry: &'a str) -> Result<Self, String> {
        let none = || {
            format!(
                "'{entry}' is neither the name nor the ARN of a user or role, without wildcards: it spares \
                 nobody"
            )
        };
        let parts: Vec<_> = entry.splitn(6, ':').collect();
        let (account, resource) = match parts.as_slice() {
            [name] => (None, *name),
            ["arn", _, "iam" | "sts", "", account, resource] if is_account(account) => {
                (Some(*account), *resource)
            }
            _ => return Err(none()),
        };
        let steps: Vec<_> = resource.split('/').collect();
        let of_session = parts.get(2) == Some(&"sts");
        let (entity, name) = match steps.as_slice() {
            ["assumed-role", role, _] if of_session => (Some(Entity::Role), *role),
            _ if of_session => return Err(none()),
            ["user", .., name] => (Some(Entity::User), *name),
            ["role", .., name] => (Some(Entity::Role), *name),
            [.., name] if account.is_none() => (None, *name),
            _ => return Err(none()),
        };
        let spared = Self {
            entity,
            account,
            name,
        };
        if is_name(name) {
            Ok(spared)
        } else {
            Err(none())
        }
    }

    /// No two users, and no two roles, of an account have names that differ by case only.
    fn is(&self, entity: Entity, account: &str, name: &str) -> bool {
        self.entity.is_none_or(|of| of == entity)
            && self.account.is_none_or(|of| of == account)
            && self.name.eq_ignore_ascii_case(name)
    }
}

/// True if `never_contain` has the user or role of this name in `account`. Unreadable entries are reported where the
/// settings are read.
pub fn protects(never_contain: &[String], entity: Entity, account: &str, name: &str) -> bool {
    let mut entries = never_contain.iter();
    entries.any(|entry| Spared::parse(entry).is_ok_and(|spared| spared.is(entity, account, name)))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(part)
}

#[cfg(test)]
mod tests {
    use super::Entity::{Role, User};
    use super::*;

    const HERE: &str = "111122223333";
    const THERE: &str = "444455556666";

    #[test]
    fn an_exempt_entry_covers_only_the_principal_that_it_names() {
        for (entry, entity, account, name, spared) in [
            ("deployer", User, HERE, "deployer", true),
            ("deployer", Role, THERE, "deployer", true),
            ("deployer", Role, HERE, "deployer2", false),
            ("Deployer", User, HERE, "dePloyer", true),
            ("ops/deployer", Role, HERE, "deployer", true),
            ("role/ops/deployer", Role, THERE, "deployer", true),
            ("role/ops/deployer", User, HERE, "deployer", false),
            ("user", User, HERE, "user", true),
            ("arn:aws:iam::111122223333:role/x", Role, HERE, "x", true),
            ("arn:aws:iam::111122223333:role/x", Role, HERE, "X", true),
            ("arn:aws:iam::111122223333:role/x", User, HERE, "x", false),
            ("arn:aws:iam::111122223333:role/x", Role, THERE, "x", false),
            (
                "arn:aws:iam::111122223333:role/a/b/x",
                Role,
                HERE,
                "x",
                true,
            ),
            ("arn:aws-cn:iam::111122223333:user/x", User, HERE, "x", true),
            ("arn:aws:iam::111122223333:user/x", Role, HERE, "x", false),
            (
                "arn:aws:sts::111122223333:assumed-role/x/s",
                Role,
                HERE,
                "x",
                true,
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/x/s",
                Role,
                HERE,
                "s",
                false,
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/x/s",
                User,
                HERE,
                "x",
                false,
            ),
        ] {
            let list = [entry.to_owned()];
            let found = protects(&list, entity, account, name);
            assert_eq!(found, spared, "{entry} {entity:?} {account} {name}");
        }
    }

    #[test]
    fn an_exempt_entry_without_a_user_or_role_is_refused_with_its_reason() {
        for entry in [
            "*",
            "deploy-*",
            "",
            "role/",
            "ops/deployer/",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:group/x",
            "arn:aws:iam::*:role/x",
            "arn:aws:iam::1111:role/x",
            "arn:aws:iam:us-east-1:111122223333:role/x",
            "arn:aws:sts::111122223333:federated-user/x",
            "arn:aws:sts::111122223333:role/x",
            "arn:aws:lambda:us-east-1:111122223333:function:x",
            "arn:aws:ec2:us-east-1:111122223333:instance/i-0abc1234",
            "a b",
        ] {
            let problem = Spared::parse(entry).expect_err(entry);
            assert!(problem.contains(&format!("'{entry}'")), "{problem}");
        }
    }
}
