//! The resources of a proof that are there, with the tags of each resource.

mod network;

use std::collections::BTreeSet;

use futures::join;
use remediation::error::{CallContext as _, Error, Result};

use crate::context::Context;
use crate::own::{Kind, Own, Seen};
use crate::record::Left;
use crate::victim::FUNCTIONS;

/// The resources of a proof that are there.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order in which they can be removed.
    pub(crate) own: Vec<Own>,
    /// The resources that AWS is removing already.
    pub(crate) going: Vec<Own>,
    /// Resources that have a name of the proof and not its tag.
    pub(crate) foreign: Vec<Left>,
    /// Kinds that could not be looked for.
    pub(crate) unread: Vec<Left>,
    unknown: BTreeSet<Kind>,
}

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            own,
            going,
            foreign,
            unread,
            unknown: _,
        } = self;
        own.is_empty() && going.is_empty() && foreign.is_empty() && unread.is_empty()
    }

    /// Whether all resources of this kind are known.
    pub(crate) fn knows(&self, kind: Kind) -> bool {
        !self.unknown.contains(&kind)
    }

    fn take(&mut self, kind: Kind, found: Result<Vec<Seen>>) {
        match found {
            Ok(all) => {
                for seen in all {
                    match seen {
                        Seen::Own(own) => self.own.push(own),
                        Seen::Going(own) => self.going.push(own),
                        Seen::Foreign(resource) => self.foreign.push(Left {
                            resource,
                            why: "it has a name of the proof and not its tag, so it was left alone: look \
                                  whose it is"
                                .to_owned(),
                        }),
                    }
                }
            }
            Err(error) => {
                let of_what = format!("{}s of the proof", kind.word());
                self.unread.push(Left::unknown(&of_what, &error));
                self.unknown.insert(kind);
            }
        }
    }
}

impl Left {
    /// Resources of a kind could not be looked for.
    pub(crate) fn unknown(of_what: &str, error: &Error) -> Self {
        Self {
            resource: of_what.to_owned(),
            why: format!("it is not known whether any is left: {error}"),
        }
    }
}

/// Looks for everything.
pub(crate) async fn find(context: &Context<'_>) -> Found {
    let mut found = Found::default();
    let (network, functions, users, roles, buckets, tables) = join!(
        Box::pin(network::find(context)),
        Box::pin(functions(context)),
        Box::pin(users(context)),
        Box::pin(roles(context)),
        Box::pin(buckets(context)),
        Box::pin(tables(context)),
    );
    let named = [
        (Kind::Function, functions),
        (Kind::User, users),
        (Kind::Role, roles),
        (Kind::Bucket, buckets),
        (Kind::Table, tables),
    ];
    for (kind, seen) in network.into_iter().chain(named) {
        found.take(kind, seen);
    }
    found.own.sort();
    found
}

/// Lambda lists functions neither by their tags nor by the beginning of their names.
async fn functions(context: &Context<'_>) -> Result<Vec<Seen>> {
    let lambda = &context.lambda;
    let mut seen = Vec::new();
    for name in FUNCTIONS.map(|of_what| context.id.name(of_what)) {
        let found = lambda.get_function_configuration().function_name(&name);
        let found = found.send().await;
        let arn = match found.during("lambda:GetFunctionConfiguration", &name) {
            Err(error) if error.is_gone() => continue,
            found => found?.function_arn.unwrap_or_default(),
        };
        let tags = lambda.list_tags().resource(arn).send().await;
        let tags = match tags.during("lambda:ListTags", &name) {
            Err(error) if error.is_gone() => continue,
            tags => tags?.tags.unwrap_or_default(),
        };
        let tags = tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let own = Own::of(context.id, Kind::Function, &name, tags);
        seen.push(Seen::named(Kind::Function, &name, own));
    }
    Ok(seen)
}

async fn users(context: &Context<'_>) -> Result<Vec<Seen>> {
    let (iam, path) = (&context.iam, context.id.path());
    let mut pages = iam
        .list_users()
        .path_prefix(&path)
        .into_paginator()
        .items()
        .send();
    let mut seen = Vec::new();
    while let Some(user) = pages.next().await {
        let name = user.during("iam:ListUsers", &path)?.user_name;
        // The list has no tags.
        let user = iam.get_user().user_name(&name).send().await;
        let user = match user.during("iam:GetUser", &name) {
            Err(error) if error.is_gone() => continue,
            user => user?.user,
        };
        let tags = user.iter().flat_map(|user| user.tags());
        let own = Own::of(
            context.id,
            Kind::User,
            &name,
            tags.map(|tag| (tag.key(), tag.value())),
        );
        seen.push(Seen::named(Kind::User, &name, own));
    }
    Ok(seen)
}

async fn roles(context: &Context<'_>) -> Result<Vec<Seen>> {
    let (iam, path) = (&context.iam, context.id.path());
    let mut pages = iam
        .list_roles()
        .path_prefix(&path)
        .into_paginator()
        .items()
        .send();
    let mut seen = Vec::new();
    while let Some(role) = pages.next().await {
        let name = role.during("iam:ListRoles", &path)?.role_name;
        let role = iam.get_role().role_name(&name).send().await;
        let role = match role.during("iam:GetRole", &name) {
            Err(error) if error.is_gone() => continue,
            role => role?.role,
        };
        let tags = role.iter().flat_map(|role| role.tags());
        let own = Own::of(
            context.id,
            Kind::Role,
            &name,
            tags.map(|tag| (tag.key(), tag.value())),
        );
        seen.push(Seen::named(Kind::Role, &name, own));
    }
    Ok(seen)
}

async fn buckets(context: &Context<'_>) -> Result<Vec<Seen>> {
    let (s3, prefix) = (&context.s3, context.id.prefix());
    let mut pages = s3.list_buckets().prefix(&prefix).into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("s3:ListAllMyBuckets", &prefix)?;
        for bucket in page.buckets() {
            let name = bucket.name().unwrap_or_default();
            let tags = s3
                .get_bucket_tagging()
                .bucket(name)
                .expected_bucket_owner(&context.account);
            let tags = match tags.send().await.during("s3:GetBucketTagging", name) {
                Ok(tags) => tags.tag_set,
                Err(error) if error.has_code("NoSuchTagSet") => Vec::new(),
                Err(error) if error.is_gone() => continue,
                Err(error) => return Err(error),
            };
            let own = Own::of(
                context.id,
                Kind::Bucket,
                name,
                tags.iter().map(|tag| (tag.key(), tag.value())),
            );
            seen.push(Seen::named(Kind::Bucket, name, own));
        }
    }
    Ok(seen)
}

async fn tables(context: &Context<'_>) -> Result<Vec<Seen>> {
    let (dynamodb, name) = (&context.dynamodb, table_name(context));
    let gone = |error: &Error| error.has_code("ResourceNotFoundException") || error.is_gone();
    let described = dynamodb.describe_table().table_name(&name).send().await;
    let described = match described.during("dynamodb:DescribeTable", &name) {
        Err(error) if gone(&error) => return Ok(Vec::new()),
        described => described?.table,
    };
    let Some(table) = described else {
        return Ok(Vec::new());
    };
    let tags = dynamodb
        .list_tags_of_resource()
        .resource_arn(table.table_arn().unwrap_or_default());
    let tags = match tags
        .send()
        .await
        .during("dynamodb:ListTagsOfResource", &name)
    {
        Err(error) if gone(&error) => return Ok(Vec::new()),
        tags => tags?,
    };
    let tags = tags.tags().iter().map(|tag| (tag.key(), tag.value()));
    let own = Own::of(context.id, Kind::Table, &name, tags);
    let deleting = table
        .table_status()
        .is_some_and(|it| it.as_str() == "DELETING");
    Ok(vec![match own {
        Some(own) if deleting => Seen::Going(own),
        own => Seen::named(Kind::Table, &name, own),
    }])
}

/// The table in which the containments of a proof without a stack are recorded.
pub(crate) fn table_name(context: &Context<'_>) -> String {
    context.id.name("record")
}
