//! The questions about a principal of the finding's own account.

mod history;
pub mod issuer;
mod last_used;
mod permissions;
mod session_origin;
mod subject;

use aws_config::SdkConfig;
use aws_sdk_iam::Client;

use self::issuer::Issuer;
use self::subject::{Described, Subject};
use crate::cloudtrail::activity::deeds;
use crate::cloudtrail::event_history::EventHistory;
use crate::error::{CallContext, Error, Result};
use crate::inquiry::Inquiry;
use model::finding::{Finding, Principal};
use model::investigation::{Answer, Investigation, Question, reason};

/// The IAM permissions that these questions need. A test holds them against the roles of the
/// functions that ask.
pub const READS: &[&str] = &[
    "cloudtrail:LookupEvents",
    "iam:GenerateServiceLastAccessedDetails",
    "iam:GetGroupPolicy",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetServiceLastAccessedDetails",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAttachedGroupPolicies",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupPolicies",
    "iam:ListGroupsForUser",
    "iam:ListRolePolicies",
    "iam:ListUserPolicies",
];

/// The clients that ask about principals: a client of IAM, and CloudTrail's event history.
#[derive(Debug)]
pub struct Principals {
    /// IAM, which says what the principal may do.
    pub iam: Client,
    /// CloudTrail's event history, which says what it did.
    pub trail: EventHistory,
}

impl Principals {
    /// Makes the clients with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            iam: Client::new(sdk),
            trail: EventHistory::new(sdk),
        }
    }

    /// Asks about the principal that the finding names, if it is one of its own account. Reads only.
    pub async fn investigate(&self, inquiry: &Inquiry<'_>) -> Investigation {
        self.investigate_as(inquiry, None).await
    }

    /// [`Principals::investigate`], of a user that has this name now.
    pub async fn investigate_as(&self, inquiry: &Inquiry<'_>, user: Option<&str>) -> Investigation {
        let Self { iam, trail } = self;
        let finding = inquiry.finding;
        let Ok(principal) = finding.principal() else {
            return Investigation::default();
        };
        if !principal.is_own() {
            return Investigation::default();
        }
        let opened = async {
            match (&principal, finding.access_key_id()) {
                (Principal::RoleSession { session, .. }, Some(key)) => {
                    Some(session_origin::opened_by(trail, inquiry, &key, session.as_ref()).await)
                }
                _ => None,
            }
        };
        let about = async {
            let (subject, issued) = subject(trail, inquiry, &principal, user).await;
            let mut answers: Vec<_> = issued.into_iter().collect();
            match subject {
                Some(subject) => answers.extend(Box::pin(ask_iam(iam, inquiry, &subject)).await),
                None if principal == Principal::Root => answers.push(Answer::known(
                    Question::Permissions,
                    "the root user may do everything, and only a service control policy limits it",
                    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user.html",
                )),
                None => {}
            }
            answers
        };
        // The on-call engineer can act on these first, of the look-ups that wait for each other.
        let traced = async {
            let opened = opened.await;
            let history = history::history(trail, inquiry, &principal).await;
            let deeds = deeds(trail, inquiry, &principal).await;
            (opened, history, deeds)
        };
        // In boxes: together these futures are larger than a thread's stack likes.
        let ((opened, history, deeds), about) = futures::join!(Box::pin(traced), Box::pin(about));
        let mut found = Investigation::default();
        if let Some((answer, lead)) = opened {
            found.answers.push(answer);
            found.leads.push(lead);
        }
        found.answers.extend(history);
        found.answers.extend(about);
        found.leads.extend(deeds);
        found
    }
}

/// The entity to ask IAM about; for a federated session its issuer, and what is known of that.
async fn subject(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
    principal: &Principal,
    user: Option<&str>,
) -> (Option<Subject>, Option<Answer>) {
    match principal {
        Principal::User { name, user_id, .. } => {
            let (name, id) = (user.unwrap_or(name).to_owned(), user_id.clone());
            (Some(Subject::User { name, id }), None)
        }
        // Under the name that IAM gave for the key, if it did.
        Principal::KeyOwner { user_id, .. } => {
            let id = user_id.clone();
            let subject = user.map(|name| Subject::User {
                name: name.to_owned(),
                id,
            });
            (subject, None)
        }
        Principal::RoleSession { role, session } => {
            let id = session.as_ref().map(|session| session.role_id.clone());
            let name = role.clone();
            (Some(Subject::Role { name, id }), None)
        }
        Principal::FederatedUser { .. } => issuer_of(trail, inquiry).await,
        _ => (None, None),
    }
}

async fn issuer_of(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
) -> (Option<Subject>, Option<Answer>) {
    let finding: &Finding = inquiry.finding;
    let key = finding.access_key_id();
    let source =
        "CloudTrail LookupEvents by AccessKeyId and ResourceName (the session's access key)";
    let found = inquiry
        .within(issuer::issuer(trail, key.as_deref(), &finding.account_id))
        .await;
    let known = |text: &str| Answer::known(Question::Issuer, text, source);
    let open = |why: &str| {
        let why = format!("{why}; look in CloudTrail for the GetFederationToken call");
        Answer::unknown(Question::Issuer, &why, source)
    };
    match found {
        Ok(Issuer::User { name, id }) => {
            let answer = known(&format!(
                "user {name} issued the session, which has at most that user's permissions"
            ));
            let id = Some(id);
            (Some(Subject::User { name, id }), Some(answer))
        }
        Ok(Issuer::Root) => (None, Some(known("the root user issued the session"))),
        Ok(Issuer::Elsewhere(account)) => {
            let text = format!("a principal of account {account} issued the session");
            (None, Some(known(&text)))
        }
        Ok(Issuer::Unknown(why)) => (None, Some(open(why))),
        Err(error) => (None, Some(open(&reason(&error)))),
    }
}

async fn ask_iam(iam: &Client, inquiry: &Inquiry<'_>, subject: &Subject) -> Vec<Answer> {
    let described = inquiry.within(Box::pin(describe(iam, subject))).await;
    if let Some(why) = not_the_same(subject, &described) {
        let source = "IAM's description of it";
        return [Question::Permissions, Question::LastUsed]
            .map(|question| Answer::unknown(question, &why, source))
            .into();
    }
    let may = inquiry.ask(
        Question::Permissions,
        "IAM's policies",
        "look at its policies in IAM",
        async { Ok(Box::pin(permissions::permissions(iam, subject, &described)).await) },
    );
    let used = inquiry.ask(
        Question::LastUsed,
        last_used::SOURCE,
        "look at its access advisor in the console of IAM",
        async {
            match &described {
                Ok(described) => Box::pin(last_used::last_used(iam, &described.arn, inquiry)).await,
                Err(error) => Err(error.clone()),
            }
        },
    );
    let (may, used) = futures::join!(may, used);
    vec![may, used]
}

/// Why what IAM says of that name is not about the principal of the finding.
fn not_the_same(subject: &Subject, described: &Result<Described>) -> Option<String> {
    let (Subject::User { id, .. } | Subject::Role { id, .. }) = subject;
    match (described, id) {
        (Err(error), _) if error.is_gone() => Some(format!(
            "{subject} no longer exists; look in CloudTrail for who deleted it"
        )),
        (Ok(described), Some(id)) if described.id != *id => Some(format!(
            "{subject} was deleted and recreated: its id is {}, that of the finding {id}; look in \
             CloudTrail for who did so",
            described.id
        )),
        _ => None,
    }
}

async fn describe(iam: &Client, subject: &Subject) -> Result<Described> {
    let (described, operation, name) = match subject {
        Subject::User { name, .. } => {
            let read = iam.get_user().user_name(name).send().await;
            let user = read.during("iam:GetUser", name)?.user;
            let described = user.map(|user| Described {
                arn: user.arn,
                id: user.user_id,
                boundary: user
                    .permissions_boundary
                    .and_then(|boundary| boundary.permissions_boundary_arn),
            });
            (described, "iam:GetUser", name)
        }
        Subject::Role { name, .. } => {
            let read = iam.get_role().role_name(name).send().await;
            let role = read.during("iam:GetRole", name)?.role;
            let described = role.map(|role| Described {
                arn: role.arn,
                id: role.role_id,
                boundary: role
                    .permissions_boundary
                    .and_then(|boundary| boundary.permissions_boundary_arn),
            });
            (described, "iam:GetRole", name)
        }
    };
    described.ok_or_else(|| {
        Error::Refused(format!(
            "{operation} on {name} answered without what was asked for"
        ))
    })
}
