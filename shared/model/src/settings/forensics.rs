//! `EC2_FORENSICS_ACCESS`: by which rules forensics get into an instance that is isolated.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many rules there may be: half of what EC2 lets a group have in each direction,
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>.
const MOST_RULES: usize = 30;

/// The widest address ranges: 16 addresses.
const WIDEST_V4: u8 = 28;
const WIDEST_V6: u8 = 124;

/// The direction of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the peer to the instance.
    From,
    /// From the instance to the peer.
    To,
}

/// One rule: `from sg-0123456789abcdef0 tcp/22`, `to pl-0123456789abcdef0 tcp/443`,
/// `from 192.0.2.16/28 tcp/22`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForensicsRule {
    /// Whether the peer is the source or the destination.
    pub direction: Direction,
    /// The id of a security group or of a prefix list, or an address range of 16 addresses at most.
    pub peer: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The one port.
    pub port: u16,
}

impl ForensicsRule {
    /// The rules that `text` lists, separated by commas.
    ///
    /// # Errors
    /// Which rule is not one, and why. Then none of them counts.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let rules: BTreeSet<Self> = text
            .split(',')
            .map(|rule| rule.trim().parse())
            .collect::<Result<_, _>>()?;
        if rules.len() > MOST_RULES {
            let count = rules.len();
            return Err(format!("{count} rules are more than {MOST_RULES}"));
        }
        Ok(rules.into_iter().collect())
    }

    /// The rule as EC2's rules of a security group are shown.
    pub fn in_group(&self) -> String {
        format!(
            "{} {}-{} {}",
            self.protocol, self.port, self.port, self.peer
        )
    }

    /// True if the peer is a prefix list, whose entries others may change.
    pub fn names_prefix_list(&self) -> bool {
        self.peer.starts_with("pl-")
    }

    /// True if the peer is a security group, which is of one VPC.
    pub fn names_group(&self) -> bool {
        self.peer.starts_with("sg-")
    }
}

/// Why an address range is no peer. `None`: it is one.
pub fn too_wide(range: &str) -> Option<String> {
    let written = || Some(format!("'{range}' is no address range as EC2 writes it"));
    let Some((address, length)) = range.split_once('/') else {
        return written();
    };
    let (Ok(address), Some(length)) = (address.parse::<IpAddr>(), decimal::<u8>(length)) else {
        return written();
    };
    let (bits, all, widest) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32, WIDEST_V4),
        IpAddr::V6(v6) => (v6.to_bits(), 128, WIDEST_V6),
    };
    if length > all || format!("{address}/{length}") != range {
        return written();
    }
    if length < widest {
        return Some(format!("'{range}' is wider than /{widest}"));
    }
    let of_hosts = (1_u128 << (all - length)) - 1;
    (bits & of_hosts != 0).then(|| format!("'{range}' does not begin with its first address"))
}

/// A number in digits alone, without a sign or leading zeros.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn is_id(peer: &str) -> bool {
    let number = peer
        .strip_prefix("sg-")
        .or_else(|| peer.strip_prefix("pl-"));
    number.is_some_and(|number| {
        matches!(number.len(), 8 | 17)
            && number
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl FromStr for ForensicsRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(' ').collect();
        let [direction, peer, service] = parts[..] else {
            return Err(format!(
                "'{text}' is not like 'from sg-0123456789abcdef0 tcp/22'"
            ));
        };
        let direction = match direction {
            "from" => Direction::From,
            "to" => Direction::To,
            _ => return Err(format!("'{text}' begins with neither 'from' nor 'to'")),
        };
        if !is_id(peer)
            && let Some(why) = too_wide(peer)
        {
            return Err(format!(
                "{why}; a peer is a security group, a prefix list or such a range"
            ));
        }
        let port = service
            .split_once('/')
            .filter(|(protocol, _)| matches!(*protocol, "tcp" | "udp"))
            .and_then(|(protocol, port)| Some((protocol, decimal(port)?)));
        match port {
            Some((protocol, port)) if port > 0 => Ok(Self {
                direction,
                peer: peer.to_owned(),
                protocol: protocol.to_owned(),
                port,
            }),
            _ => Err(format!("'{service}' is not like 'tcp/22' or 'udp/53'")),
        }
    }
}

impl fmt::Display for ForensicsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::From => "from",
            Direction::To => "to",
        };
        let Self {
            peer,
            protocol,
            port,
            ..
        } = self;
        write!(f, "{direction} {peer} {protocol}/{port}")
    }
}

impl TryFrom<String> for ForensicsRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ForensicsRule> for String {
    fn from(rule: ForensicsRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written_alike() {
        let text = "from sg-0123456789abcdef0 tcp/22, to sg-01234567 tcp/443,to pl-0123456789abcdef0 udp/53,\
                    from 192.0.2.16/28 tcp/3389, from 2001:db8::10/124 tcp/22, from 192.0.2.7/32 tcp/22";
        let rules = ForensicsRule::parse_all(text).unwrap();
        assert_eq!(rules.len(), 6);
        let stored = serde_json::to_value(&rules).unwrap();
        let read: Vec<ForensicsRule> = serde_json::from_value(stored).unwrap();
        assert_eq!(read, rules);
        let written: Vec<_> = rules.iter().map(ToString::to_string).collect();
        for rule in text.split(',') {
            assert!(written.contains(&rule.trim().to_owned()), "{written:?}");
        }
    }

    #[test]
    fn whatever_is_not_exactly_a_rule_makes_all_of_them_void() {
        for wrong in [
            "",
            "from sg-0123456789abcdef0 tcp/22,",
            "sg-0123456789abcdef0 tcp/22",
            "in sg-0123456789abcdef0 tcp/22",
            "from  sg-0123456789abcdef0 tcp/22",
            "from sg-0123456789ABCDEF0 tcp/22",
            "from sg-012345678 tcp/22",
            "from sg-bastion tcp/22",
            "from sg-0123456789abcdef0 tcp",
            "from sg-0123456789abcdef0 tcp/0",
            "from sg-0123456789abcdef0 tcp/+22",
            "from sg-0123456789abcdef0 tcp/022",
            "from sg-0123456789abcdef0 tcp/65536",
            "from sg-0123456789abcdef0 tcp/22-23",
            "from sg-0123456789abcdef0 icmp/8",
            "from sg-0123456789abcdef0 -1",
            "from 0.0.0.0/0 tcp/22",
            "from 192.0.2.0/27 tcp/22",
            "from 192.0.2.1/28 tcp/22",
            "from 192.0.2.1 tcp/22",
            "from 192.0.2.16/33 tcp/22",
            "from 192.0.2.16/+28 tcp/22",
            "from ::/0 tcp/22",
            "from 2001:db8::/123 tcp/22",
            "from 2001:DB8::10/124 tcp/22",
            "from 2001:db8::11/124 tcp/22",
            "from somewhere tcp/22",
        ] {
            let listed = format!("from sg-00000000000000000 tcp/22,{wrong}");
            assert!(ForensicsRule::parse_all(&listed).is_err(), "{wrong}");
        }
    }
}
