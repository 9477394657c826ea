//! The clients of the playbook, in the Region of each instance.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_ec2::config::Region;

/// The clients of all Regions.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) own: Services,
    /// Those of other Regions, by Region, since the first use of each.
    pub(super) elsewhere: Mutex<HashMap<String, Services>>,
}

/// The services that it calls, in one Region.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) elb: aws_sdk_elasticloadbalancing::Client,
    pub(super) elbv2: aws_sdk_elasticloadbalancingv2::Client,
}

impl Clients {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self::of(Services {
            ec2: aws_sdk_ec2::Client::new(sdk),
            iam: aws_sdk_iam::Client::new(sdk),
            autoscaling: aws_sdk_autoscaling::Client::new(sdk),
            elb: aws_sdk_elasticloadbalancing::Client::new(sdk),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::new(sdk),
        })
    }

    pub(super) fn of(own: Services) -> Self {
        Self {
            own,
            elsewhere: Mutex::default(),
        }
    }

    pub(super) fn in_region(&self, region: &str) -> Services {
        let own = self.own.ec2.config().region();
        if own.is_some_and(|own| own.as_ref() == region) {
            return self.own.clone();
        }
        // The map is whole after a panic too: it is changed by single calls.
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let there = elsewhere.entry(region.to_owned());
        there.or_insert_with(|| self.own.in_region(region)).clone()
    }
}

impl Services {
    fn in_region(&self, region: &str) -> Self {
        let region = Region::new(region.to_owned());
        macro_rules! there {
            ($service:ident, $client:expr) => {
                $service::Client::from_conf(
                    $client.config().to_builder().region(region.clone()).build(),
                )
            };
        }
        Self {
            ec2: there!(aws_sdk_ec2, self.ec2),
            // IAM is the same in every Region.
            iam: self.iam.clone(),
            autoscaling: there!(aws_sdk_autoscaling, self.autoscaling),
            elb: there!(aws_sdk_elasticloadbalancing, self.elb),
            elbv2: there!(aws_sdk_elasticloadbalancingv2, self.elbv2),
        }
    }
}
