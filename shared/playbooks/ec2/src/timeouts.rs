//! The idle time-outs of an interface's tracked connections.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::ConnectionTrackingSpecificationRequest;
use serde::{Deserialize, Serialize};

use aws::error::{CallContext, Result};

/// Idle time-outs of tracked connections in seconds; `None` is EC2's default,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// `TcpEstablishedTimeout`, 60 to 432000.
    pub tcp_established: Option<i32>,
    /// `UdpStreamTimeout`, 60 to 180.
    pub udp_stream: Option<i32>,
    /// `UdpTimeout`, 30 to 60.
    pub udp: Option<i32>,
}

impl Timeouts {
    /// For established TCP, for streams of UDP, for other UDP, with EC2's defaults for what is not set.
    pub(super) fn in_effect(self) -> (i32, i32, i32) {
        (
            self.tcp_established.unwrap_or(432_000),
            self.udp_stream.unwrap_or(180),
            self.udp.unwrap_or(30),
        )
    }

    /// The shortest that EC2 allows.
    pub const SHORTEST: Self = Self {
        tcp_established: Some(60),
        udp_stream: Some(60),
        udp: Some(30),
    };
}

/// Sets the idle time-outs. EC2 has no call that takes them away again, so that what was not set
/// becomes EC2's default; on Nitro v6 that is another one, and nothing says what is Nitro v6.
pub(super) async fn set(client: &Client, interface: &str, timeouts: Timeouts) -> Result<()> {
    let (tcp, stream, udp) = timeouts.in_effect();
    let specification = ConnectionTrackingSpecificationRequest::builder()
        .tcp_established_timeout(tcp)
        .udp_stream_timeout(stream)
        .udp_timeout(udp)
        .build();
    client
        .modify_network_interface_attribute()
        .network_interface_id(interface)
        .connection_tracking_specification(specification)
        .send()
        .await
        .during("ec2:ModifyNetworkInterfaceAttribute", interface)
        .map(drop)
}
