//! All playbooks by their category, for what serves every one: `gdr`, and tests of the template.
//!
//! A deployed function does not use this crate. It knows one playbook.

pub mod permissions;

#[cfg(test)]
mod actions_tests;

pub use aws::playbook::Playbook;
pub use model::category::Category;
pub use playbook_ec2::{self as ec2, Ec2};
pub use playbook_iam::{self as iam, Iam};
pub use playbook_lambda::{self as lambda, Lambda};
pub use playbook_s3::{self as s3, S3};
pub use remediation::triage::Triage;

/// Evaluates an expression with the playbook of a category under the name that is given.
///
/// `of_category!(category, P => undo::recorded::<P>(incident))`
#[macro_export]
macro_rules! of_category {
    ($category:expr, $playbook:ident => $run:expr) => {
        match $category {
            $crate::Category::S3 => {
                type $playbook = $crate::S3;
                $run
            }
            $crate::Category::Iam => {
                type $playbook = $crate::Iam;
                $run
            }
            $crate::Category::Ec2 => {
                type $playbook = $crate::Ec2;
                $run
            }
            $crate::Category::Lambda => {
                type $playbook = $crate::Lambda;
                $run
            }
            $crate::Category::Triage => {
                type $playbook = $crate::Triage;
                $run
            }
        }
    };
}
