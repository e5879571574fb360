//! Ready-made ticket settings for the common trackers: Jira, GitHub and GitLab.

use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::settings::{RequestTemplate, TicketAuth, TicketSettings};

fn request(method: Method, url: String, body: Option<Value>) -> RequestTemplate {
    RequestTemplate { method, url, body }
}

/// Tickets as issues of a Jira project (REST API 2). `done_transition` is the id of the transition that closes an issue.
pub fn jira(
    base: &str,
    project: &str,
    issue_type: &str,
    done_transition: &str,
    auth: TicketAuth,
) -> TicketSettings {
    let base = base.trim_end_matches('/');
    let body = json!({ "fields": {
        "project": { "key": project }, "issuetype": { "name": issue_type }, "summary": "{{title}}",
        "description": "{{body}}", "labels": ["leasehold", "{{key}}"],
    } });
    // Jira Cloud has replaced the search by another one, which Jira Data Center does not have.
    let host = base.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let search = if host.ends_with(".atlassian.net") { "search/jql" } else { "search" };
    let search = format!(
        "{base}/rest/api/2/{search}?jql=labels%20%3D%20%22{{{{key}}}}%22%20AND%20statusCategory%20!%3D%20Done&fields=key&maxResults=1"
    );
    let transition = json!({ "transition": { "id": done_transition } });
    TicketSettings {
        open: request(Method::POST, format!("{base}/rest/api/2/issue"), Some(body)),
        reference: "/key".to_owned(),
        find: Some((request(Method::GET, search, None), "/issues/0/key".to_owned())),
        close: Some(request(
            Method::POST,
            format!("{base}/rest/api/2/issue/{{{{reference}}}}/transitions"),
            Some(transition),
        )),
        auth,
    }
}

/// Tickets as issues of a GitHub repository (`owner/name`).
pub fn github(base: &str, repository: &str, token: SecretString) -> TicketSettings {
    let issues = format!("{}/repos/{repository}/issues", base.trim_end_matches('/'));
    let body = json!({ "title": "{{title}}", "body": "{{body}}", "labels": ["leasehold", "{{key}}"] });
    TicketSettings {
        find: Some((
            request(Method::GET, format!("{issues}?labels={{{{key}}}}&state=open&per_page=1"), None),
            "/0/number".to_owned(),
        )),
        close: Some(request(
            Method::PATCH,
            format!("{issues}/{{{{reference}}}}"),
            Some(json!({ "state": "closed", "state_reason": "completed" })),
        )),
        open: request(Method::POST, issues, Some(body)),
        reference: "/number".to_owned(),
        auth: TicketAuth::Bearer(token),
    }
}

/// Tickets as issues of a GitLab project (`group/name`, or its number).
pub fn gitlab(base: &str, project: &str, token: SecretString) -> TicketSettings {
    let project: String = url::form_urlencoded::byte_serialize(project.as_bytes()).collect();
    let issues = format!("{}/api/v4/projects/{project}/issues", base.trim_end_matches('/'));
    let body = json!({ "title": "{{title}}", "description": "{{body}}", "labels": "leasehold,{{key}}" });
    TicketSettings {
        find: Some((
            request(Method::GET, format!("{issues}?labels={{{{key}}}}&state=opened&per_page=1"), None),
            "/0/iid".to_owned(),
        )),
        close: Some(request(
            Method::PUT,
            format!("{issues}/{{{{reference}}}}"),
            Some(json!({ "state_event": "close" })),
        )),
        open: request(Method::POST, issues, Some(body)),
        reference: "/iid".to_owned(),
        auth: TicketAuth::Header("PRIVATE-TOKEN".to_owned(), token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jira_cloud_and_data_center_are_searched_at_different_paths() {
        let find = |base| jira(base, "NET", "Task", "31", TicketAuth::None).find.unwrap().0.url;
        let cloud = find("https://example.atlassian.net");
        assert!(cloud.starts_with("https://example.atlassian.net/rest/api/2/search/jql?jql="), "{cloud}");
        let own = find("https://jira.example.net/jira/");
        assert!(own.starts_with("https://jira.example.net/jira/rest/api/2/search?jql="), "{own}");
    }
}
