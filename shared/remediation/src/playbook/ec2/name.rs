//! The actions' names, as reports, notices and records show them.

pub(crate) const TERMINATION: &str = "ec2:ProtectFromTermination";
pub(crate) const STOP: &str = "ec2:ProtectFromStop";
pub(crate) const SHUTDOWN: &str = "ec2:StopOnShutdown";
pub(crate) const KEEP_VOLUME: &str = "ec2:KeepVolume";
pub(crate) const DETACH: &str = "autoscaling:DetachInstance";
pub(crate) const STANDBY: &str = "autoscaling:EnterStandby";
pub(crate) const TARGETS: &str = "elasticloadbalancing:DeregisterTarget";
pub(crate) const BALANCERS: &str = "elasticloadbalancing:DeregisterInstance";
pub(crate) const PREPARE: &str = "ec2:PrepareIsolationGroup";
pub(crate) const CLOSE: &str = "ec2:CloseIsolationGroup";
pub(crate) const ISOLATE: &str = "ec2:IsolateInterface";
pub(crate) const DENY: &str = "iam:DenyInstanceCredentials";
pub(crate) const ADDRESS: &str = "ec2:RemovePublicAddress";
pub(crate) const METADATA: &str = "ec2:DisableInstanceMetadata";
pub(crate) const TIMEOUTS: &str = "ec2:ShortenIdleTimeouts";
pub(crate) const CUT: &str = "ec2:CutTrackedConnections";
pub(crate) const SNAPSHOT: &str = "ec2:SnapshotVolumes";
pub(crate) const FORENSICS: &str = "ec2:AdmitForensics";
pub(crate) const TAG: &str = "ec2:MarkContained";
