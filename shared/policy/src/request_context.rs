//! A request to the policies: principal, action, resource, context.

use std::str::FromStr;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use jiff::Timestamp;
use jiff::tz::Offset;

use super::policies::schema;
use super::prior_activity::PriorActivity;
use model::category::Category;
use model::decision::{ResponseMode, ResponseSettings};
use model::finding::{Finding, Principal};
use model::plan::StepKey;
use model::resource::{Attribute, Kind, Resource};
use model::settings::{self, protects};

/// Why the policies are asked.
#[derive(Clone, Debug)]
pub struct RequestContext<'a> {
    pub finding: &'a Finding,
    pub settings: &'a ResponseSettings,
    pub category: Category,
    pub dry_run: bool,
    pub now: Timestamp,
    pub(super) prior_activity: PriorActivity,
    /// The finding's severity; or of one on account of which the target is contained already, if that is higher.
    pub(super) severity: f64,
}

/// The result of a request, which fails only if the schema and this file disagree.
type Asked<T> = Result<T, String>;

impl<'a> RequestContext<'a> {
    /// The context before the principal's past is known.
    pub fn new(
        finding: &'a Finding,
        settings: &'a ResponseSettings,
        category: Category,
        dry_run: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            finding,
            settings,
            category,
            dry_run,
            now,
            prior_activity: PriorActivity::UNKNOWN,
            severity: finding.severity.value(),
        }
    }

    /// The same, about a target that is contained on account of a finding of this severity.
    pub(super) fn at_least(&self, severity: f64) -> Self {
        Self {
            severity: self.severity.max(severity),
            ..self.clone()
        }
    }

    /// The same if this were known of what the principal did before.
    pub(super) fn with(&self, prior_activity: PriorActivity) -> Self {
        Self {
            prior_activity,
            ..self.clone()
        }
    }

    pub(super) fn request(
        &self,
        step: &StepKey,
        resource: &Resource,
        approved: bool,
    ) -> Asked<(Request, Entities)> {
        let schema = schema()?;
        let request = Request::new(
            uid("Playbook", self.category.as_str())?,
            uid("Action", step.action)?,
            resource_uid(resource)?,
            self.context(step, approved)?,
            Some(schema),
        );
        let mut entities = vec![self.entity(resource)?];
        if let Some(role) = &resource.role {
            entities.push(self.entity(role)?);
        }
        let entities = Entities::from_entities(entities, Some(schema));
        Ok((
            request.map_err(|error| error.to_string())?,
            entities.map_err(|error| error.to_string())?,
        ))
    }

    /// A request for policies that look at neither the action nor the resource. `None`: the playbook has
    /// no actions.
    pub(super) fn any_request(&self, approved: bool) -> Option<Asked<(Request, Entities)>> {
        let finding = self.finding;
        let (action, resource) = match self.category {
            Category::S3 => (
                "s3:BlockBucketPublicAccess",
                Resource::bucket(finding, &finding.region, ""),
            ),
            Category::Iam => ("iam:DenyRoleSession", Resource::role(finding, "", None)),
            Category::Ec2 => ("ec2:IsolateInterface", Resource::instance(finding, "")),
            Category::Lambda => ("lambda:ThrottleFunction", Resource::function(finding, "")),
            Category::Triage => return None,
        };
        let target = String::new();
        Some(self.request(&StepKey { action, target }, &resource, approved))
    }

    fn context(&self, step: &StepKey, approved: bool) -> Asked<Context> {
        let time = Offset::UTC.to_datetime(self.now);
        let mode = match self.settings.mode {
            ResponseMode::Contain => "contain",
            ResponseMode::Approve => "approve",
            ResponseMode::Notify => "notify",
            ResponseMode::Off => "off",
        };
        let mut members = vec![
            ("finding", self.finding()?),
            ("history", self.history()?),
            ("target", text(&step.target)),
            ("mode", text(mode)),
            ("approved", RestrictedExpression::new_bool(approved)),
            ("dryRun", RestrictedExpression::new_bool(self.dry_run)),
            ("now", datetime(self.now)),
            ("hour", RestrictedExpression::new_long(time.hour().into())),
            (
                "weekday",
                RestrictedExpression::new_long(time.weekday().to_monday_one_offset().into()),
            ),
        ];
        if let Some(minimum) = self.settings.minimum_severity {
            members.push(("minimumSeverity", decimal(minimum)));
        }
        if let Some(from) = self.settings.approval_not_needed_from {
            members.push(("approvalNotNeededFrom", decimal(from)));
        }
        Context::from_pairs(named(members)).map_err(|error| error.to_string())
    }

    fn history(&self) -> Asked<RestrictedExpression> {
        let members = self.prior_activity.members();
        let members = members.map(|(name, value)| (name, RestrictedExpression::new_bool(value)));
        RestrictedExpression::new_record(named(members.collect()))
            .map_err(|error| error.to_string())
    }

    fn finding(&self) -> Asked<RestrictedExpression> {
        let finding = self.finding;
        // What was exfiltrated from an instance makes it the source, whatever else the finding says.
        let victim = finding.finding_type.resource() != "IAMUser" && finding.instance_is_victim();
        let mut members = vec![
            ("id", text(&finding.id)),
            ("type", text(finding.finding_type.as_str())),
            ("purpose", text(finding.finding_type.purpose())),
            ("severity", decimal(self.severity)),
            (
                "sample",
                RestrictedExpression::new_bool(finding.is_sample()),
            ),
            ("drill", RestrictedExpression::new_bool(finding.is_drill())),
            ("account", text(&finding.account_id)),
            ("region", text(&finding.region)),
            ("victim", RestrictedExpression::new_bool(victim)),
        ];
        members.extend(
            finding
                .resource_role()
                .map(|role| ("resourceRole", text(role))),
        );
        members.extend(finding.count().map(|count| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            ("count", RestrictedExpression::new_long(count))
        }));
        members.extend(
            finding
                .remote_is_affiliated()
                .map(|is| ("affiliated", RestrictedExpression::new_bool(is))),
        );
        members.extend(
            finding
                .remote_service()
                .map(|service| ("remoteService", text(service))),
        );
        let actor = finding.principal().ok();
        members.extend(actor.map(|actor| ("actor", text(kind_of(&actor)))));
        members.extend(
            finding
                .first_seen()
                .map(|seen| ("firstSeen", datetime(seen))),
        );
        members.extend(finding.last_seen().map(|seen| ("lastSeen", datetime(seen))));
        RestrictedExpression::new_record(named(members)).map_err(|error| error.to_string())
    }

    fn entity(&self, resource: &Resource) -> Asked<Entity> {
        let mut attributes = vec![
            ("account", text(&resource.account)),
            ("region", text(&resource.region)),
            ("arn", text(&resource.arn)),
            ("name", text(&resource.name)),
        ];
        let unread = resource.unread.iter().map(|name| text(name));
        attributes.push(("unread", RestrictedExpression::new_set(unread)));
        for (name, value) in &resource.attributes {
            let value = match value {
                Attribute::Text(value) => text(value),
                Attribute::Flag(value) => RestrictedExpression::new_bool(*value),
            };
            attributes.push((name, value));
        }
        if let Some(role) = &resource.role {
            let role = RestrictedExpression::new_entity_uid(resource_uid(role)?);
            attributes.push(("role", role));
        }
        let tags = resource.tags.iter();
        let tags = tags.map(|(key, value)| (key.clone(), text(value)));
        Entity::new_with_tags(
            resource_uid(resource)?,
            named(attributes),
            self.protected(resource)?,
            tags,
        )
        .map_err(|error| error.to_string())
    }

    /// The lists that a user or role is on.
    fn protected(&self, resource: &Resource) -> Asked<Vec<EntityUid>> {
        let entity = match resource.kind {
            Kind::User => settings::Entity::User,
            Kind::Role => settings::Entity::Role,
            Kind::Bucket | Kind::Account | Kind::Instance | Kind::Function => return Ok(Vec::new()),
        };
        let mut lists = Vec::new();
        let named = |names: &[String]| protects(names, entity, &resource.account, &resource.name);
        if resource.kind == Kind::Role && named(&self.settings.responder_roles) {
            lists.push(uid("Protected", "responder")?);
        }
        if named(&self.settings.never_contain) {
            lists.push(uid("Protected", "never-contain")?);
        }
        Ok(lists)
    }
}

/// CloudTrail's words.
fn kind_of(actor: &Principal) -> &str {
    match actor {
        Principal::User { .. } | Principal::KeyOwner { .. } => "IAMUser",
        Principal::RoleSession { .. } | Principal::InstanceIdentity { .. } => "AssumedRole",
        Principal::FederatedUser { .. } => "FederatedUser",
        Principal::Root => "Root",
        Principal::Anonymous => "Anonymous",
        Principal::OtherAccount { .. } => "AWSAccount",
        Principal::Other { user_type, .. } => user_type,
    }
}

fn resource_uid(resource: &Resource) -> Asked<EntityUid> {
    uid(resource.kind.as_str(), &resource.arn)
}

fn uid(kind: &str, id: &str) -> Asked<EntityUid> {
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn named<'a>(
    members: Vec<(&'a str, RestrictedExpression)>,
) -> impl Iterator<Item = (String, RestrictedExpression)> + 'a {
    let members = members.into_iter();
    members.map(|(name, value)| (name.to_owned(), value))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

/// Cedar's decimals have four digits after the point.
fn decimal(value: f64) -> RestrictedExpression {
    RestrictedExpression::new_decimal(format!("{value:.4}"))
}

/// Cedar's times have milliseconds.
fn datetime(time: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
