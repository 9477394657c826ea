//! The observations of Runtime Monitoring's agent, for people,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-summary.html#runtime-monitoring-runtime-details>.
//! All of it is printable.

use super::Finding;

/// A change of a file that GuardDuty holds to be sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileChange<'a> {
    /// The file.
    pub path: &'a str,
    /// `WRITE`, `RENAME`, `DELETE`, `LINK`, `SYMLINK`.
    pub operation: Option<&'a str>,
    /// The program that did it.
    pub program: Option<&'a str>,
    /// The user of the operating system whose process it was.
    pub user: Option<&'a str>,
}

impl Finding {
    /// The file that was changed, for findings about one.
    pub fn file_change(&self) -> Option<FileChange<'_>> {
        let runtime = &self.detail.service.runtime_details;
        Some(FileChange {
            path: runtime.context.file_path.as_deref()?,
            operation: runtime.context.file_operation.as_deref(),
            program: runtime.process.executable_path.as_deref(),
            user: runtime.process.user.as_deref(),
        })
    }

    /// The ARN of the ECS task, or the name of its cluster where the finding does not say which task.
    pub fn ecs_task(&self) -> Option<&str> {
        let cluster = &self.detail.resource.ecs_cluster_details;
        cluster
            .task_details
            .arn
            .as_deref()
            .or(cluster.name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use serde_json::json;

    #[test]
    fn the_changed_file_and_the_task_are_read_and_made_printable() {
        let of = finding(json!({
            "resource": { "ecsClusterDetails": { "name": "shop",
                "taskDetails": { "arn": "arn:aws:ecs:us-east-1:111122223333:task/shop/0e" } } },
            "service": { "runtimeDetails": {
                "process": { "executablePath": "/usr/bin/vi", "user": "root", "pid": 1 },
                "context": { "filePath": "/etc/sudoers\u{202e}", "fileOperation": "WRITE" } } },
        }));
        assert_eq!(
            of.file_change(),
            Some(FileChange {
                path: "/etc/sudoers\\u{202e}",
                operation: Some("WRITE"),
                program: Some("/usr/bin/vi"),
                user: Some("root"),
            })
        );
        assert_eq!(
            of.ecs_task(),
            Some("arn:aws:ecs:us-east-1:111122223333:task/shop/0e")
        );
        let nothing = finding(json!({
            "resource": { "ecsClusterDetails": null },
            "service": { "runtimeDetails": null },
        }));
        assert_eq!((nothing.file_change(), nothing.ecs_task()), (None, None));
        let cluster = finding(json!({ "resource": { "ecsClusterDetails": {
            "name": "shop", "taskDetails": null } } }));
        assert_eq!(cluster.ecs_task(), Some("shop"));
    }
}
