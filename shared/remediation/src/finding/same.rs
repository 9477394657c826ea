//! Whether what an event says of a finding is what GuardDuty says of it.

use super::Finding;

impl Finding {
    /// The member in which `self`, as an event brought it, contradicts `current`, as GuardDuty has it:
    /// one that names the finding or the target, or on which reading the target depends. What an
    /// update may change (severity, counts, times, the latest action) contradicts nothing. Of a part of an
    /// attack sequence that is also what else the sequence says of the target, by which it was found.
    pub fn contradicts(&self, current: &Self) -> Option<&'static str> {
        let key = |finding: &Self| {
            let details = finding.detail.resource.access_key_details.as_ref()?;
            let members = [
                &details.access_key_id,
                &details.principal_id,
                &details.user_name,
                &details.user_type,
            ];
            Some(members.map(|member| member.clone().unwrap_or_default()))
        };
        let instance = |finding: &Self| {
            let details = finding.detail.resource.instance_details.as_ref()?;
            details.instance_id.clone()
        };
        // The zone of an instance never changes, and an event may have left it out.
        let zones = self.zone().zip(current.zone());
        let buckets = |finding: &Self| {
            let buckets = finding.detail.resource.s3_bucket_details.iter();
            let mut names: Vec<_> = buckets.map(|bucket| bucket.name.clone()).collect();
            names.sort_unstable();
            names
        };
        let part = self.handed_over_to().is_some();
        [
            ("id", self.id == current.id),
            (
                "type",
                self.finding_type.to_string() == current.finding_type.to_string(),
            ),
            ("accountId", self.account_id == current.account_id),
            ("region", self.region == current.region),
            (
                "resource.resourceType",
                self.resource_type() == current.resource_type(),
            ),
            (
                "resource.accessKeyDetails",
                part || key(self) == key(current),
            ),
            (
                "resource.instanceDetails",
                instance(self) == instance(current)
                    && zones.is_none_or(|(zone, current)| zone == current),
            ),
            (
                "resource.s3BucketDetails",
                buckets(self) == buckets(current),
            ),
            (
                "service.eventFirstSeen",
                self.first_seen() == current.first_seen(),
            ),
        ]
        .into_iter()
        .find_map(|(member, agrees)| (!agrees).then_some(member))
    }
}
