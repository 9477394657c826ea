//! What IAM does to the account of [`super`].

use std::sync::{Arc, Mutex};

use aws_sdk_iam::operation::*;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{
    AccessKeyMetadata, AttachedPermissionsBoundary, AttachedPolicy, LoginProfile, Role,
    ServiceSpecificCredentialMetadata, SummaryKeyType, Tag, User,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use testkit::{Rule, mock};

use super::{Account, Entity};
use aws_sdk_iam::Client;
use fixtures::Wire;

pub(super) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

fn boundary(entity: &Entity) -> Option<AttachedPermissionsBoundary> {
    let arn = entity.boundary.as_ref()?;
    let built = AttachedPermissionsBoundary::builder().permissions_boundary_arn(arn);
    Some(built.build())
}

pub(super) fn attached(entity: &Entity) -> Vec<AttachedPolicy> {
    let built = entity
        .attached
        .iter()
        .map(|arn| AttachedPolicy::builder().policy_arn(arn).build());
    built.collect()
}

fn tags(entity: &Entity) -> Vec<Tag> {
    let built = entity.tags.iter().map(|(key, value)| {
        let tag = Tag::builder().key(key).value(value).build();
        tag.unwrap()
    });
    built.collect()
}

/// Keeps an inline policy, if the account does.
fn put(
    entity: &mut Entity,
    name: &str,
    text: &str,
    full: bool,
    forgets: bool,
) -> Result<(), &'static str> {
    if full {
        return Err("LimitExceeded");
    }
    if !forgets {
        entity.inline.insert(name.to_owned(), text.to_owned());
    }
    Ok(())
}

/// What IAM does about users.
#[expect(clippy::disallowed_methods, reason = "release is tested too")]
pub(super) fn user_rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    let list_credentials = mock!(Client::list_service_specific_credentials);
    let update_credential = mock!(Client::update_service_specific_credential);
    vec![
        mock!(Client::get_account_summary).answered_by(on, "iam:GetAccountSummary", |account, _request| {
                let users = i32::try_from(account.users.len()).unwrap();
                Ok(get_account_summary::GetAccountSummaryOutput::builder()
                    .summary_map(SummaryKeyType::Users, users)
                    .build())
            }),
        mock!(Client::tag_user).answered_by(on, "iam:TagUser", |account, request| {
                let entity = account.user(request.user_name())?;
                for tag in request.tags() {
                    entity.tags.insert(tag.key.clone(), tag.value.clone());
                }
                Ok(tag_user::TagUserOutput::builder().build())
            }),
        mock!(Client::untag_user).answered_by(on, "iam:UntagUser", |account, request| {
                let entity = account.user(request.user_name())?;
                for key in request.tag_keys() {
                    entity.tags.remove(key);
                }
                Ok(untag_user::UntagUserOutput::builder().build())
            }),
        mock!(Client::get_user).answered_by(on, "iam:GetUser", |account, request| {
                let name = request.user_name().unwrap();
                let entity = account.user(Some(name))?;
                let built = User::builder()
                    .user_name(name)
                    .user_id(entity.id)
                    .path(entity.path);
                let built = built.arn(format!(
                    "arn:aws:iam::111122223333:user{}{name}",
                    entity.path
                ));
                let built = built.create_date(DateTime::from_secs(0));
                let user = built
                    .set_tags(Some(tags(entity)))
                    .set_permissions_boundary(boundary(entity))
                    .build()
                    .unwrap();
                Ok(get_user::GetUserOutput::builder().user(user).build())
            }),
        mock!(Client::get_access_key_last_used).answered_by(on, "iam:GetAccessKeyLastUsed", |account, request| {
                let key = request.access_key_id().unwrap();
                let mut users = account.users.iter();
                let owner = users.find(|(_, user)| user.keys.iter().any(|(id, ..)| *id == key));
                let (owner, _) = owner.ok_or("NoSuchEntity")?;
                Ok(
                    get_access_key_last_used::GetAccessKeyLastUsedOutput::builder()
                        .user_name(owner)
                        .build(),
                )
            }),
        mock!(Client::list_access_keys).answered_by(on, "iam:ListAccessKeys", |account, request| {
                let cut = account.cut;
                let keys = &account.shown(request.user_name())?.keys;
                let keys = keys.iter().map(|(id, status, created)| {
                    let built = AccessKeyMetadata::builder()
                        .access_key_id(*id)
                        .status(status.clone());
                    built.create_date(DateTime::from_secs(*created)).build()
                });
                let built = list_access_keys::ListAccessKeysOutput::builder();
                Ok(built
                    .is_truncated(cut)
                    .set_access_key_metadata(Some(keys.collect()))
                    .build()
                    .unwrap())
            }),
        mock!(Client::get_login_profile).answered_by(on, "iam:GetLoginProfile", |account, request| {
                let name = request.user_name().unwrap();
                let user = account.user(Some(name))?;
                if !user.console {
                    return Err("NoSuchEntity");
                }
                let since = DateTime::from_secs(user.console_since);
                let profile = LoginProfile::builder().user_name(name);
                let profile = profile.create_date(since).build().unwrap();
                Ok(get_login_profile::GetLoginProfileOutput::builder()
                    .login_profile(profile)
                    .build())
            }),
        mock!(Client::update_access_key).answered_by(on, "iam:UpdateAccessKey", |account, request| {
                let key = request.access_key_id().unwrap();
                let keys = &mut account.changing(request.user_name())?.keys;
                let key = keys
                    .iter_mut()
                    .find(|(id, ..)| *id == key)
                    .ok_or("NoSuchEntity")?;
                key.1 = request.status().unwrap().clone();
                Ok(update_access_key::UpdateAccessKeyOutput::builder().build())
            }),
        list_credentials.answered_by(on, "iam:ListServiceSpecificCredentials", |account, request| {
                let cut = account.cut;
                let credentials = &account.user(request.user_name())?.credentials;
                let credentials = credentials.iter().map(|(id, service, status, created)| {
                    let built = ServiceSpecificCredentialMetadata::builder()
                        .user_name("-")
                        .service_user_name("-")
                        .service_name(*service)
                        .service_specific_credential_id(*id)
                        .status(status.clone());
                    let built = built.create_date(DateTime::from_secs(*created));
                    built.build().unwrap()
                });
                let built = list_service_specific_credentials::ListServiceSpecificCredentialsOutput::builder();
                let listed = Some(credentials.collect());
                Ok(built
                    .set_service_specific_credentials(listed)
                    .is_truncated(cut)
                    .build())
            }),
        update_credential.answered_by(on, "iam:UpdateServiceSpecificCredential", |account, request| {
                let id = request.service_specific_credential_id().unwrap();
                let credentials = &mut account.user(request.user_name())?.credentials;
                let mut found = credentials.iter_mut();
                let found = found.find(|(it, ..)| *it == id).ok_or("NoSuchEntity")?;
                found.2 = request.status().unwrap().clone();
                Ok(update_service_specific_credential::UpdateServiceSpecificCredentialOutput::builder().build())
            }),
        mock!(Client::get_user_policy).answered_by(on, "iam:GetUserPolicy", |account, request| {
                let policy = request.policy_name().unwrap();
                let entity = account.shown(request.user_name())?;
                let document = entity.inline.get(policy).ok_or("NoSuchEntity")?;
                let built = get_user_policy::GetUserPolicyOutput::builder().user_name("-");
                let built = built.policy_name(policy).policy_document(encoded(document));
                Ok(built.build().unwrap())
            }),
        mock!(Client::list_attached_user_policies).answered_by(on, "iam:ListAttachedUserPolicies", |account, request| {
                let attached = attached(account.user(request.user_name())?);
                let built = list_attached_user_policies::ListAttachedUserPoliciesOutput::builder();
                Ok(built.set_attached_policies(Some(attached)).build())
            }),
        mock!(Client::put_user_policy).answered_by(on, "iam:PutUserPolicy", |account, request| {
                let (policy, document) = (
                    request.policy_name().unwrap(),
                    request.policy_document().unwrap(),
                );
                let (full, forgets) = (account.full, account.forgets);
                let entity = account.changing(request.user_name())?;
                put(entity, policy, document, full, forgets)?;
                Ok(put_user_policy::PutUserPolicyOutput::builder().build())
            }),
        mock!(Client::attach_user_policy).answered_by(on, "iam:AttachUserPolicy", |account, request| {
                let entity = account.user(request.user_name())?;
                entity
                    .attached
                    .insert(request.policy_arn().unwrap().to_owned());
                Ok(attach_user_policy::AttachUserPolicyOutput::builder().build())
            }),
        mock!(Client::put_user_permissions_boundary).answered_by(on, "iam:PutUserPermissionsBoundary", |account, request| {
                let entity = account.user(request.user_name())?;
                entity.boundary = request.permissions_boundary().map(ToOwned::to_owned);
                Ok(
                    put_user_permissions_boundary::PutUserPermissionsBoundaryOutput::builder()
                        .build(),
                )
            }),
        mock!(Client::delete_user_policy).answered_by(on, "iam:DeleteUserPolicy", |account, request| {
                let entity = account.user(request.user_name())?;
                entity
                    .inline
                    .remove(request.policy_name().unwrap())
                    .ok_or("NoSuchEntity")?;
                Ok(delete_user_policy::DeleteUserPolicyOutput::builder().build())
            }),
        mock!(Client::detach_user_policy).answered_by(on, "iam:DetachUserPolicy", |account, request| {
                let entity = account.user(request.user_name())?;
                entity.attached.remove(request.policy_arn().unwrap());
                Ok(detach_user_policy::DetachUserPolicyOutput::builder().build())
            }),
        mock!(Client::delete_user_permissions_boundary).answered_by(on, "iam:DeleteUserPermissionsBoundary", |account, request| {
                account.user(request.user_name())?.boundary = None;
                Ok(
                    delete_user_permissions_boundary::DeleteUserPermissionsBoundaryOutput::builder(
                    )
                    .build(),
                )
            }),
    ]
}

/// What IAM does about roles.
#[expect(clippy::disallowed_methods, reason = "release is tested too")]
pub(super) fn role_rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    vec![
        mock!(Client::tag_role).answered_by(on, "iam:TagRole", |account, request| {
            let entity = account.role(request.role_name())?;
            for tag in request.tags() {
                entity.tags.insert(tag.key.clone(), tag.value.clone());
            }
            Ok(tag_role::TagRoleOutput::builder().build())
        }),
        mock!(Client::untag_role).answered_by(on, "iam:UntagRole", |account, request| {
            let entity = account.role(request.role_name())?;
            for key in request.tag_keys() {
                entity.tags.remove(key);
            }
            Ok(untag_role::UntagRoleOutput::builder().build())
        }),
        mock!(Client::get_role).answered_by(on, "iam:GetRole", |account, request| {
            let name = request.role_name().unwrap();
            let entity = account.role(Some(name))?;
            let built = Role::builder()
                .role_name(name)
                .role_id(entity.id)
                .path(entity.path);
            let built = built.arn(format!(
                "arn:aws:iam::111122223333:role{}{name}",
                entity.path
            ));
            let built = built.create_date(DateTime::from_secs(0));
            let built = built.assume_role_policy_document(encoded(&entity.trust.to_string()));
            let role = built
                .set_tags(Some(tags(entity)))
                .set_permissions_boundary(boundary(entity))
                .build()
                .unwrap();
            Ok(get_role::GetRoleOutput::builder().role(role).build())
        }),
        mock!(Client::get_role_policy).answered_by(on, "iam:GetRolePolicy", |account, request| {
            let policy = request.policy_name().unwrap();
            let entity = account.role(request.role_name())?;
            let document = entity.inline.get(policy).ok_or("NoSuchEntity")?;
            let built = get_role_policy::GetRolePolicyOutput::builder().role_name("-");
            let built = built.policy_name(policy).policy_document(encoded(document));
            Ok(built.build().unwrap())
        }),
        mock!(Client::list_attached_role_policies).answered_by(
            on,
            "iam:ListAttachedRolePolicies",
            |account, request| {
                let attached = attached(account.role(request.role_name())?);
                let built = list_attached_role_policies::ListAttachedRolePoliciesOutput::builder();
                Ok(built.set_attached_policies(Some(attached)).build())
            },
        ),
        mock!(Client::put_role_policy).answered_by(on, "iam:PutRolePolicy", |account, request| {
            let (policy, document) = (
                request.policy_name().unwrap(),
                request.policy_document().unwrap(),
            );
            let (full, forgets) = (account.full, account.forgets);
            let entity = account.role(request.role_name())?;
            put(entity, policy, document, full, forgets)?;
            Ok(put_role_policy::PutRolePolicyOutput::builder().build())
        }),
        mock!(Client::attach_role_policy).answered_by(
            on,
            "iam:AttachRolePolicy",
            |account, request| {
                let entity = account.role(request.role_name())?;
                entity
                    .attached
                    .insert(request.policy_arn().unwrap().to_owned());
                Ok(attach_role_policy::AttachRolePolicyOutput::builder().build())
            },
        ),
        mock!(Client::put_role_permissions_boundary).answered_by(
            on,
            "iam:PutRolePermissionsBoundary",
            |account, request| {
                let entity = account.role(request.role_name())?;
                entity.boundary = request.permissions_boundary().map(ToOwned::to_owned);
                Ok(
                    put_role_permissions_boundary::PutRolePermissionsBoundaryOutput::builder()
                        .build(),
                )
            },
        ),
        mock!(Client::delete_role_policy).answered_by(
            on,
            "iam:DeleteRolePolicy",
            |account, request| {
                let entity = account.role(request.role_name())?;
                entity
                    .inline
                    .remove(request.policy_name().unwrap())
                    .ok_or("NoSuchEntity")?;
                Ok(delete_role_policy::DeleteRolePolicyOutput::builder().build())
            },
        ),
        mock!(Client::detach_role_policy).answered_by(
            on,
            "iam:DetachRolePolicy",
            |account, request| {
                let entity = account.role(request.role_name())?;
                entity.attached.remove(request.policy_arn().unwrap());
                Ok(detach_role_policy::DetachRolePolicyOutput::builder().build())
            },
        ),
        mock!(Client::delete_role_permissions_boundary).answered_by(
            on,
            "iam:DeleteRolePermissionsBoundary",
            |account, request| {
                account.role(request.role_name())?.boundary = None;
                Ok(
                    delete_role_permissions_boundary::DeleteRolePermissionsBoundaryOutput::builder(
                    )
                    .build(),
                )
            },
        ),
    ]
}
