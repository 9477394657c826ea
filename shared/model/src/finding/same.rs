//! Whether what an event says of a finding is what GuardDuty says of it.

use super::Finding;

impl Finding {
    /// The member in which `self`, as an event brought it, contradicts `current`, as GuardDuty has it: one that names
    /// the finding or whose it is, or on which reading the target depends. Values that an update may change contradict
    /// nothing: severity, counts, times, the latest action, and with it the key, the session and the buckets. A part of
    /// an attack sequence is also held against the other values by which the sequence identified the target.
    pub fn contradicts(&self, current: &Self) -> Option<&'static str> {
        let principal = |finding: &Self| {
            let details = finding.detail.resource.access_key_details.as_ref()?;
            let id = details.principal_id.as_deref().unwrap_or_default();
            let members = [
                // Of a role it is followed by the name of the session.
                id.split(':').next(),
                details.user_name.as_deref(),
                details.user_type.as_deref(),
            ];
            Some(members.map(|member| member.unwrap_or_default().to_owned()))
        };
        let instance = |finding: &Self| {
            let details = finding.detail.resource.instance_details.as_ref()?;
            details.instance_id.clone()
        };
        let function = |finding: &Self| {
            let details = finding.detail.resource.lambda_details.as_ref()?;
            Some((details.function_name.clone(), details.function_arn.clone()))
        };
        // The zone of an instance never changes, and an event may have left it out.
        let zones = self.zone().zip(current.zone());
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
                part || principal(self) == principal(current),
            ),
            (
                "resource.instanceDetails",
                instance(self) == instance(current)
                    && zones.is_none_or(|(zone, current)| zone == current),
            ),
            (
                "resource.lambdaDetails",
                function(self) == function(current),
            ),
            (
                "service.eventFirstSeen",
                self.first_seen() == current.first_seen(),
            ),
        ]
        .into_iter()
        .find_map(|(member, agrees)| (!agrees).then_some(member))
    }

    /// The member by which `self`, as an event brought it, is about a target that is not among those of `current`,
    /// as GuardDuty has it: GuardDuty shows the latest of what it has put together in one finding, or somebody has
    /// altered the event.
    pub fn is_about_others(&self, current: &Self) -> Option<&'static str> {
        let key = |finding: &Self| {
            let details = finding.detail.resource.access_key_details.as_ref()?;
            let members = [&details.access_key_id, &details.principal_id];
            Some(members.map(|member| member.clone().unwrap_or_default()))
        };
        let known = &current.detail.resource.s3_bucket_details;
        let mut buckets = self.detail.resource.s3_bucket_details.iter();
        let among = buckets.all(|bucket| {
            known.iter().any(|known| {
                let mut objects = bucket.s3_object_details.iter();
                known.name == bucket.name
                    && objects.all(|object| known.s3_object_details.contains(object))
            })
        });
        let of_none = self.detail.resource.s3_bucket_details.is_empty() && !known.is_empty();
        let part = self.handed_over_to().is_some();
        if !part && key(self) != key(current) {
            return Some("resource.accessKeyDetails");
        }
        (!among || of_none).then_some("resource.s3BucketDetails")
    }

    /// Leaves out the buckets and objects that `event` does not name: GuardDuty may have added them since, and tells
    /// of them by an event of their own.
    pub fn keep_buckets_of(&mut self, event: &Self) {
        let named = &event.detail.resource.s3_bucket_details;
        let buckets = &mut self.detail.resource.s3_bucket_details;
        buckets.retain_mut(|bucket| {
            let of_name = named.iter().filter(|named| named.name == bucket.name);
            let named: Vec<_> = of_name.collect();
            let objects = &mut bucket.s3_object_details;
            objects.retain(|object| {
                let mut named = named.iter();
                named.any(|named| named.s3_object_details.contains(object))
            });
            !named.is_empty()
        });
    }
}
