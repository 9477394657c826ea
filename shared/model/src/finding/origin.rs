//! The called API, and the other end of the activity. All of it is for people, and printable.

use super::wire::{AwsApiCall, RemoteIp};
use super::{Finding, printable};

/// The other end of an API call, a connection, a probe or a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// The IPv4 address, or the IPv6 address where there is none.
    pub address: Option<String>,
    /// The country's name, or its code where there is no name.
    pub country: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The organisation that has the address: its name, or that of the internet provider, or of the
    /// autonomous system.
    pub organisation: Option<String>,
    /// The number of the autonomous system.
    pub asn: Option<String>,
    /// The domain, where the caller is one (`callerType` `Domain`).
    pub domain: Option<String>,
}

/// A call of an AWS API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCall {
    /// The operation: `PutBucketPolicy`.
    pub api: String,
    /// The service: `s3.amazonaws.com`.
    pub service: Option<String>,
    /// The error that the call met: `AccessDenied`. `None`: it succeeded, or the finding does not
    /// say.
    pub error_code: Option<String>,
    /// The caller's program, by its own name.
    pub user_agent: Option<String>,
    /// `Remote IP`, `Domain` or the like.
    pub caller_type: Option<String>,
}

impl Finding {
    /// The API that was called, for findings about API calls.
    pub fn api(&self) -> Option<&str> {
        self.aws_api_call()?.api.as_deref()
    }

    /// The API call, for findings about one.
    pub fn api_call(&self) -> Option<ApiCall> {
        let call = self.aws_api_call()?;
        // Anomalies have it among the additional information only.
        let additional = &self.detail.service.additional_info.value.user_agent;
        let user_agent = call.user_agent.clone().or_else(|| {
            let text = additional["fullUserAgent"].as_str()?;
            (!text.is_empty()).then(|| printable(text))
        });
        Some(ApiCall {
            api: call.api.clone()?,
            service: call.service_name.clone(),
            error_code: call.error_code.clone(),
            user_agent,
            caller_type: call.caller_type.clone(),
        })
    }

    /// The other end of the activity; the first of several that probed ports.
    pub fn remote(&self) -> Option<Remote> {
        self.remotes().next()
    }

    /// The other ends of the activity, each as often as the finding has it.
    pub fn remotes(&self) -> impl Iterator<Item = Remote> {
        let action = &self.detail.service.action;
        let call = self.aws_api_call().map(Remote::from);
        let connection = action.network_connection_action.as_ref();
        let others = [
            &action.kubernetes_api_call_action,
            &action.rds_login_attempt_action,
        ];
        let probes = action.port_probe_action.iter();
        let others = connection
            .map(|connection| &connection.remote_ip_details)
            .into_iter()
            .chain(
                others
                    .into_iter()
                    .flatten()
                    .map(|end| &end.remote_ip_details),
            )
            .chain(probes.flat_map(|probe| {
                let ends = probe.port_probe_details.iter();
                ends.map(|end| &end.remote_ip_details)
            }))
            .flatten()
            .map(Remote::from);
        call.into_iter()
            .chain(others)
            .filter(|remote| *remote != Remote::default())
    }

    /// The remote address of the activity.
    pub fn remote_address(&self) -> Option<String> {
        self.remote()?.address
    }

    fn aws_api_call(&self) -> Option<&AwsApiCall> {
        self.detail.service.action.aws_api_call_action.as_ref()
    }
}

impl From<&AwsApiCall> for Remote {
    fn from(call: &AwsApiCall) -> Self {
        Self {
            domain: call.domain_details.domain.clone(),
            ..call
                .remote_ip_details
                .as_ref()
                .map_or_else(Self::default, Self::from)
        }
    }
}

impl From<&RemoteIp> for Remote {
    fn from(details: &RemoteIp) -> Self {
        let first = |names: &[&Option<String>]| names.iter().find_map(|name| (*name).clone());
        let organisation = &details.organization;
        Self {
            address: first(&[&details.ip_address_v4, &details.ip_address_v6]),
            country: first(&[&details.country.country_name, &details.country.country_code]),
            city: details.city.city_name.clone(),
            organisation: first(&[&organisation.org, &organisation.isp, &organisation.asn_org]),
            asn: organisation.asn.clone(),
            domain: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use serde_json::{Value, json};

    fn acted(action: Value) -> Finding {
        finding(json!({ "service": { "action": action } }))
    }

    #[test]
    fn the_other_end_is_read_for_every_kind_of_action() {
        let details = json!({
            "ipAddressV4": "198.51.100.1",
            "country": { "countryCode": "DE", "countryName": "Germany" },
            "city": { "cityName": "Berlin" },
            "geoLocation": { "lat": 52.5, "lon": 13.4 },
            "organization": { "asn": 64496, "asnOrg": "AS", "isp": "ISP", "org": "Org" },
        });
        let told = Remote {
            address: Some("198.51.100.1".to_owned()),
            country: Some("Germany".to_owned()),
            city: Some("Berlin".to_owned()),
            organisation: Some("Org".to_owned()),
            asn: Some("64496".to_owned()),
            domain: None,
        };
        let end = json!({ "remoteIpDetails": details });
        for action in [
            json!({ "awsApiCallAction": end }),
            json!({ "networkConnectionAction": end }),
            json!({ "kubernetesApiCallAction": end }),
            json!({ "rdsLoginAttemptAction": end }),
            json!({ "portProbeAction": { "portProbeDetails": [end] } }),
        ] {
            assert_eq!(
                acted(action.clone()).remote().as_ref(),
                Some(&told),
                "{action}"
            );
        }
    }

    #[test]
    fn an_address_may_be_ipv6_and_an_unknown_member_is_none() {
        let remote = |details: Value| {
            acted(json!({ "awsApiCallAction": { "remoteIpDetails": details } })).remote()
        };
        let both = json!({ "ipAddressV4": "1.2.3.4", "ipAddressV6": "2001:db8::1" });
        assert_eq!(remote(both).unwrap().address.as_deref(), Some("1.2.3.4"));
        let v6 = json!({ "ipAddressV4": "", "ipAddressV6": "2001:db8::1", "country": null,
            "organization": { "isp": "ISP" } });
        let v6 = remote(v6).unwrap();
        assert_eq!(v6.address.as_deref(), Some("2001:db8::1"));
        assert_eq!(v6.organisation.as_deref(), Some("ISP"));
        assert_eq!((v6.country, v6.city, v6.asn), (None, None, None));
        for nothing in [
            json!({}),
            json!(null),
            json!({ "ipAddressV4": null, "city": {} }),
        ] {
            assert_eq!(remote(nothing.clone()), None, "{nothing}");
        }
        assert_eq!(acted(json!(null)).remote(), None);
    }

    #[test]
    fn a_caller_may_be_a_domain_and_have_no_address() {
        let call = |changes: Value| acted(json!({ "awsApiCallAction": changes })).remote();
        let domain =
            json!({ "callerType": "Domain", "domainDetails": { "domain": "ec2.example.com" } });
        let remote = call(domain).expect("an other end");
        assert_eq!(remote.domain.as_deref(), Some("ec2.example.com"));
        assert_eq!(remote.address, None);
        let both = call(json!({ "domainDetails": { "domain": "a\u{202e}" },
            "remoteIpDetails": { "ipAddressV4": "198.51.100.1" } }));
        let both = both.expect("an other end");
        assert_eq!(both.domain.as_deref(), Some("a\\u{202e}"));
        assert_eq!(both.address.as_deref(), Some("198.51.100.1"));
        assert_eq!(call(json!({ "domainDetails": null })), None);
    }

    #[test]
    fn each_of_several_probing_addresses_is_read() {
        let end = |address| json!({ "remoteIpDetails": { "ipAddressV4": address } });
        let finding = acted(json!({ "portProbeAction": { "portProbeDetails":
            [end("198.51.100.1"), null, {}, end("198.51.100.2")] } }));
        let addresses: Vec<_> = finding.remotes().filter_map(|end| end.address).collect();
        assert_eq!(addresses, ["198.51.100.1", "198.51.100.2"]);
        assert_eq!(finding.remote_address().as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn the_user_agent_of_a_call_is_read_from_both_members_and_made_printable() {
        let finding = finding(json!({ "service": {
            "action": { "awsApiCallAction": { "api": "PutBucketPolicy", "serviceName": "s3.amazonaws.com",
                "callerType": "Remote IP", "errorCode": "" } },
            "additionalInfo": { "value": "{\"userAgent\":{\"fullUserAgent\":\"a\\u202eb\"}}" },
        } }));
        assert_eq!(
            finding.api_call(),
            Some(ApiCall {
                api: "PutBucketPolicy".to_owned(),
                service: Some("s3.amazonaws.com".to_owned()),
                error_code: None,
                user_agent: Some("a\\u{202e}b".to_owned()),
                caller_type: Some("Remote IP".to_owned()),
            })
        );
        let own = acted(json!({ "awsApiCallAction": { "api": "x", "userAgent": "curl/8\n" } }));
        assert_eq!(
            own.api_call().unwrap().user_agent.as_deref(),
            Some("curl/8\\u{a}")
        );
        assert_eq!(acted(json!({ "awsApiCallAction": {} })).api_call(), None);
    }
}
