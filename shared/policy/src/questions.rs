//! The questions that the policies' answers depend on and only CloudTrail answers.

pub use super::prior_activity::PriorActivity;

/// A resource whose tags decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaggedResource {
    /// Its name, or the id of an instance.
    pub name: String,
    /// Its Region.
    pub region: String,
}

/// A question to CloudTrail whose answer would change what is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenQuestion {
    /// The principal's activity before the finding's.
    PriorActivity,
    /// Whether the tags of a resource are older than the activity.
    TagAge(TaggedResource),
}

/// The answer to an [`OpenQuestion`].
#[derive(Clone, Debug)]
pub enum HistoryAnswer {
    /// The principal's known calls, and why they are not all, if they are not.
    PriorActivity(PriorActivity, Option<String>),
    /// The known age of the tags of this resource.
    TagAge(TaggedResource, TagAge),
}

/// CloudTrail's evidence about the tags of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagAge {
    /// Nobody has set them since the activity began.
    Older,
    /// Somebody has, so that they do not count: who, by which call.
    SetSince(String),
    /// CloudTrail cannot tell, for this reason.
    Unknown(String),
}

impl TagAge {
    /// Says what the on-call engineer should know of the tags of the resource of this name.
    pub(super) fn remark(&self, name: &str) -> Option<String> {
        match self {
            Self::Older => None,
            Self::SetSince(who) => Some(format!("the tags of {name} did not count: {who}")),
            Self::Unknown(why) => Some(format!(
                "find out whether the tags of {name} are older than the activity, since steps wait for that: \
                 {why}"
            )),
        }
    }
}
