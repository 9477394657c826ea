//! Containers, clusters, functions, and attacks that go through several resources.

use crate::finding::FindingType;

/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-remediate-kubernetes.html>
pub(super) fn kubernetes(kind: &FindingType) -> &'static str {
    match (kind.purpose(), kind.family()) {
        (_, "MaliciousFile" | "SuspiciousFile") => {
            "deny all traffic of the pod by a network policy, cordon its node, keep its file system and \
             memory; stop using its image if the file is in it, and replace every pod of that image"
        }
        ("Policy", "AdminAccessToDefaultServiceAccount") => {
            "delete the binding of the default service account to the cluster's administrators, and give \
             the pods that need rights a service account of their own"
        }
        ("Policy", "ExposedDashboard" | "KubeflowDashboardExposed") => {
            "make the dashboard's service internal (no load balancer on the Internet), require \
             authentication, and look in the audit log at who used it"
        }
        (_, "AnonymousAccessGranted" | "SuccessfulAnonymousAccess") => {
            "delete the bindings of system:anonymous and system:unauthenticated that the cluster does \
             not need; close its public endpoint or narrow its addresses; look in the audit log for \
             calls without authentication"
        }
        (_, "AnomalousBehavior") if kind.name().contains("SecretsAccessed") => {
            "ask the owner of the Kubernetes user; if it was not theirs, revoke the user's access and \
             rotate every secret that was read"
        }
        (_, "AnomalousBehavior")
            if kind.name().contains("RoleBindingCreated")
                || kind.name().contains("RoleCreated") =>
        {
            "read the role or binding that was made; delete it unless its owner knows it, and look at what \
             its subjects did since"
        }
        (_, "AnomalousBehavior") if kind.name().contains("PermissionChecked") => {
            "ask the owner of the Kubernetes user; asking what one may do is an attacker's first step and \
             an administrator's habit: look at what was called next"
        }
        (_, "ExecInKubeSystemPod") => exec(),
        (_, "AnomalousBehavior") if kind.name().contains("ExecInPod") => exec(),
        (_, "PrivilegedContainer" | "ContainerWithSensitiveMount") => workload(),
        (_, "AnomalousBehavior") if kind.name().contains("WorkloadDeployed") => workload(),
        _ => {
            "revoke the access of the Kubernetes user that the finding names (an IAM principal: its access \
             entry or its line in aws-auth, and its keys; a service account: its tokens), rotate the \
             secrets that it could read, and look in the audit log at what else it called"
        }
    }
}

fn exec() -> &'static str {
    "ask the owner of the Kubernetes user what was run in the pod; if nobody knows, isolate the pod by a \
     network policy, and revoke the user's access; rotate the secrets that the pod's service account and \
     the node's role can reach"
}

fn workload() -> &'static str {
    "compare the workload with your deployments; if nobody knows it, assume that its node is compromised \
     (it can reach the host): cordon the node, isolate its instance and revoke its role's sessions; \
     secure the image, then delete the workload, and forbid such pods by an admission policy"
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ecs.html>,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/remediate-compromised-standalone-container.html>,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-remediate-runtime-monitoring.html>
pub(super) fn container(kind: &FindingType) -> &'static str {
    match (kind.resource(), kind.family()) {
        ("ECS", _) => {
            "find out whether the file is in the task's image, and list the tasks that run it; deny all \
             traffic of those tasks (a security group without rules), and start them again from a clean \
             image after their file system is secured"
        }
        ("Container", _) => {
            "pause the container and keep its file system and memory; find out whether the file is in \
             its image, and assume that the instance is compromised if the container could reach the host"
        }
        (_, "NewBinaryExecuted" | "NewLibraryLoaded") => {
            "compare the file and its hash with the image of the container: a file that is not in it was \
             added later; if no update explains it, isolate the pod or task"
        }
        (_, "SensitiveFileModified") => {
            "compare the file with the image of the container and with what was deployed, since packages and \
             administrators write such files too; if nothing explains it, isolate the pod or task, and see \
             whether the file is one of the host's"
        }
        (
            _,
            "CGroupsReleaseAgentModified"
            | "ContainerMountsHostDirectory"
            | "DockerSocketAccessed"
            | "RuncContainerEscape"
            | "KernelModuleLoaded",
        ) => {
            "assume that the host is compromised, not only the container: cordon it or place no more \
             tasks on it, and isolate its instance; revoke the sessions of its role and of its pods or \
             tasks"
        }
        _ => {
            "isolate the pod or task (a network policy that denies all, a security group without rules); \
             keep its memory and file system; revoke its role's credentials, and replace it from a clean \
             image"
        }
    }
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/remediate-lambda-protection-finding-types.html>
pub(super) fn function(kind: &FindingType) -> &'static str {
    match kind.family() {
        "AccountManipulation" => {
            "remove the statement that lets everybody invoke the function from its policy, and look at \
             who invoked it since"
        }
        "ModifyAuthenticationProcess" => {
            "require IAM authentication on the function's URL (AWS_IAM) or delete the URL, and look at \
             who invoked it since"
        }
        _ => {
            "set the function's reserved concurrency to 0 to stop it; compare its code and layers with \
             the deployed version; find out who updated it last (CloudTrail); revoke the sessions of its \
             role, and rotate the secrets in its environment"
        }
    }
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-attack-sequence-finding-types.html>
pub(super) fn sequence(resource: &str) -> &'static str {
    match resource {
        "EKS" => {
            "open the sequence in GuardDuty: it lists every actor and resource; revoke the Kubernetes users \
             and IAM principals first, then isolate the pods and nodes"
        }
        "ECS" => {
            "open the sequence in GuardDuty: it lists every actor and resource; isolate the tasks and the \
             instances they run on, and revoke their roles' sessions"
        }
        "EC2" => {
            "open the sequence in GuardDuty: it lists every actor and resource; look at what the instances \
             have in common (an image, a launch template, a role), since their replacements will be \
             attacked alike"
        }
        "S3" => {
            "open the sequence in GuardDuty: it lists every actor and resource; contain the credentials \
             first, then see which objects were read, deleted or encrypted"
        }
        _ => {
            "open the sequence in GuardDuty: it lists every actor and resource; contain the credentials \
             first, and undo what they made (users, keys, roles, policies)"
        }
    }
}
