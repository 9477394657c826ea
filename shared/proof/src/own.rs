//! The resources that a proof may remove: those whose tag was read.

use std::fmt;

use crate::request::{Id, TAG};

/// In the order in which they can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Snapshot,
    Instance,
    Volume,
    Interface,
    SecurityGroup,
    RouteTable,
    Subnet,
    InternetGateway,
    Vpc,
    Function,
    User,
    Role,
    Bucket,
    Table,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Instance => "instance",
            Self::Volume => "volume",
            Self::Interface => "network interface",
            Self::SecurityGroup => "security group",
            Self::RouteTable => "route table",
            Self::Subnet => "subnet",
            Self::InternetGateway => "internet gateway",
            Self::Vpc => "VPC",
            Self::Function => "function",
            Self::User => "user",
            Self::Role => "role",
            Self::Bucket => "bucket",
            Self::Table => "table",
        }
    }

    /// Whether whoever makes one chooses its name.
    fn is_named(self) -> bool {
        matches!(
            self,
            Self::Function | Self::User | Self::Role | Self::Bucket | Self::Table
        )
    }

    /// As people are shown it.
    pub(crate) fn show(self, id: &str) -> String {
        format!("{} {id}", self.word())
    }
}

/// A resource of the proof. It can only be had from the tags of the resource, and nothing is removed without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Own {
    kind: Kind,
    id: String,
    /// Resources that it is attached to or associated with, and has to be taken from first.
    bonds: Vec<String>,
}

impl Own {
    /// The resource that has these tags, if they say that it is the proof's. If the maker names the resource, the name
    /// has to say so too.
    pub(crate) fn of<'t>(
        proof: &Id,
        kind: Kind,
        id: &str,
        tags: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Option<Self> {
        let tagged = tags
            .into_iter()
            .any(|(key, value)| key == TAG && value == proof.as_str());
        let named = !kind.is_named() || id.starts_with(&proof.prefix());
        (tagged && named).then(|| Self {
            kind,
            id: id.to_owned(),
            bonds: Vec::new(),
        })
    }

    pub(crate) fn bound_to(self, bonds: Vec<String>) -> Self {
        Self { bonds, ..self }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bonds(&self) -> &[String] {
        &self.bonds
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.show(&self.id))
    }
}

/// A resource that was looked at.
pub(crate) enum Seen {
    Own(Own),
    Going(Own),
    Foreign(String),
}

impl Seen {
    pub(crate) fn named(kind: Kind, id: &str, own: Option<Own>) -> Self {
        own.map_or_else(|| Self::Foreign(kind.show(id)), Self::Own)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Own};
    use crate::request::Id;

    #[test]
    fn only_a_resource_with_the_tag_and_the_name_of_the_proof_is_its_own() {
        let proof = Id::parse("abcd").expect("an id");
        let own = |kind, id, tags: &[(&'static str, &'static str)]| {
            Own::of(&proof, kind, id, tags.iter().copied()).is_some()
        };
        let tag = [("Name", "x"), ("gdr:proof", "abcd")];
        assert!(own(Kind::Instance, "i-1", &tag));
        assert!(own(Kind::User, "gdr-proof-abcd-victim", &tag));
        assert!(!own(Kind::User, "alice", &tag));
        assert!(!own(Kind::Bucket, "gdr-proof-abcdef-data", &tag));
        assert!(!own(Kind::User, "gdr-proof-abcd-victim", &[]));
        for other in [("gdr:proof", "abcde"), ("gdr:proof", ""), ("proof", "abcd")] {
            assert!(!own(Kind::Instance, "i-1", &[other]), "{other:?}");
        }
    }
}
