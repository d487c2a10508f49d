//! Two teams on one server see nothing of each other: every route is asked as each of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bellwire_process::clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::made;
use crate::harness::{Answer, PATIENCE, Random, Request, Server, request};

/// What is somebody's, and nobody else's to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Topic,
    Posted,
    /// An alert of a rule of their own.
    Own,
    /// An alert of a rule that raises everybody's.
    Shared,
    Silence,
    Series,
    /// A series that a rule records.
    Recorded,
    Rule,
    Receiver,
}

const THINGS: [Thing; 9] = [
    Thing::Topic,
    Thing::Posted,
    Thing::Own,
    Thing::Shared,
    Thing::Silence,
    Thing::Series,
    Thing::Recorded,
    Thing::Rule,
    Thing::Receiver,
];

/// Somebody, and a text for each thing of theirs that stands nowhere else.
struct Party {
    name: &'static str,
    key: String,
    markers: BTreeMap<Thing, String>,
    /// Identities of their silences and alerts.
    identities: Vec<String>,
}

impl Party {
    fn marker(&self, thing: Thing) -> &str {
        &self.markers[&thing]
    }
}

struct World {
    server: Server,
    red: Party,
    blue: Party,
    root: Party,
    _folder: TempDir,
}

const TEAM: &str = r#"
[[access.role]]
name = "team"
subscribe = ["teams/{sub}/**", "alerts/**", "samples/**"]
publish = ["teams/{sub}/**"]
ingest = ['{team="{sub}"}']
query = ['{team="{sub}"}']
alerts = ['{team="{sub}"}']
attend = ['{team="{sub}"}']
post_alerts = ['{team="{sub}"}']
"#;

impl World {
    fn start(random: &mut Random) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut config = TEAM.to_owned();
        let [red, blue, root] =
            [("red", "team"), ("blue", "team"), ("root", "admin")].map(|(name, role)| {
                let (key, table) = made(name, role);
                config.push_str(&table);
                let marker = |thing| (thing, format!("x{:016x}x", random.seed()));
                let markers = THINGS.into_iter().map(marker).collect();
                Party { name, key, markers, identities: Vec::new() }
            });
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let config = write("bellwire.toml", &config);
        let rules = write("rules.yml", &rules(&[&red, &blue, &root]));
        let alertmanager = write("alertmanager.yml", &alertmanager(&[&red, &blue, &root]));
        let text = |path: &'_ Path| path.to_str().expect("text").to_owned();
        let flags = [text(&config), text(&rules), text(&alertmanager)];
        let [config, rules, alertmanager] = flags.each_ref().map(String::as_str);
        let server = Server::start_with(&[
            "--config",
            config,
            "--rules",
            rules,
            "--alertmanager-config",
            alertmanager,
        ]);
        Self { server, red, blue, root, _folder: folder }
    }

    fn ask(&self, party: &Party, (method, path): (&str, &str), body: &str) -> Answer {
        let authorization = format!("Bearer {}", party.key);
        let headers = [("Authorization", authorization.as_str()), ("Accept", "application/json")];
        let (address, body) = (self.server.address(), body.as_bytes());
        request(address, Request { method, path, headers: &headers, body })
    }

    fn parties(&self) -> [&Party; 3] {
        [&self.red, &self.blue, &self.root]
    }

    /// Has each of them publish, send samples, post alerts and silence some.
    fn fill(&self, random: &mut Random) {
        for party in self.parties() {
            self.fill_for(party, random);
        }
    }

    fn fill_for(&self, party: &Party, random: &mut Random) {
        let done = |way: (&str, &str), body: String| {
            let answer = self.ask(party, way, &body);
            assert!(answer.status < 300, "{}: {way:?}: {}", party.name, answer.text());
        };
        let team = party.name;
        let topic = party.marker(Thing::Topic);
        for name in [topic, "plain"] {
            let path = format!("/v1/topics/teams/{team}/{name}");
            done(("POST", &path), json!(topic).to_string());
        }
        let sample = |name: &str, more: &[(&str, &str)], value: f64| {
            let mut labels = json!({ "team": team });
            for (name, value) in more {
                labels[*name] = json!(value);
            }
            json!({ "name": name, "labels": labels, "value": value })
        };
        let loads = 1 + random.below(4);
        let load = |number: u64| {
            let (marker, number) = (party.marker(Thing::Series), number.to_string());
            sample("load", &[("marker", marker), ("n", &number)], 9.0)
        };
        let mut samples: Vec<Value> = (0..loads).map(load).collect();
        samples.push(sample("strain", &[("marker", party.marker(Thing::Shared))], 9.0));
        // Where there are two on the right a rule fails, and says of whom.
        samples.push(sample("left", &[], 9.0));
        for number in 0..if team == "red" { 1 } else { 2 } {
            let number = number.to_string();
            let labels = [("marker", party.marker(Thing::Series)), ("n", &*number)];
            samples.push(sample("right", &labels, 9.0));
        }
        done(("POST", "/v1/samples"), json!(samples).to_string());

        let marker = party.marker(Thing::Series);
        let query = format!("load{{marker=\"{marker}\"}}");
        let query = json!({ "name": "plain", "query": query, "note": marker });
        done(("POST", "/v1/queries"), query.to_string());

        let kinds = ["source", "target"].into_iter().map(ToOwned::to_owned);
        let others = (0..random.below(4)).map(|number| format!("other{number}"));
        let alert = |kind: String| {
            let marker = party.marker(Thing::Posted);
            let labels =
                json!({ "alertname": "Posted", "team": team, "kind": kind, "marker": marker });
            json!({ "labels": labels, "annotations": { "summary": marker } })
        };
        let alerts: Vec<Value> = kinds.chain(others).map(alert).collect();
        done(("POST", "/api/v2/alerts"), json!(alerts).to_string());

        // Of everybody's alerts, where everybody's may be silenced.
        let name = if random.below(2) == 0 { "kind" } else { "alertname" };
        let matcher = json!({ "name": name, "value": "target|Posted|Shared", "isRegex": true });
        let silence = json!({
            "matchers": [matcher],
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": "2999-01-01T00:00:00Z",
            "createdBy": "somebody else",
            "comment": party.marker(Thing::Silence),
        });
        done(("POST", "/api/v2/silences"), silence.to_string());
    }

    /// Returns once everything is there that there will be, and notes whose it is.
    fn settle(&mut self) {
        let mut cursor = "earliest".to_owned();
        for waits in 0.. {
            let shown = self.ask(&self.root, ("GET", "/v1/alerts"), "");
            let recorded = self.ask(&self.root, ("GET", "/api/v1/query?query=recorded"), "");
            let text = format!("{}{}", shown.text(), recorded.text());
            let things = [Thing::Own, Thing::Posted, Thing::Shared, Thing::Recorded];
            let has =
                |party: &Party| things.iter().all(|thing| text.contains(party.marker(*thing)));
            if self.parties().into_iter().all(has) && text.contains("Failing") {
                break;
            }
            assert!(waits < PATIENCE.as_secs(), "not all has come: {text}");
            let path = format!("/v1/events?topic=alerts/events/**&after={cursor}&wait=1s");
            cursor = text_of(&self.ask(&self.root, ("GET", &path), "").json()["cursor"]);
        }
        let alerts = self.ask(&self.root, ("GET", "/v1/alerts"), "").json();
        let silences = self.ask(&self.root, ("GET", "/v1/silences"), "").json();
        for party in [&mut self.red, &mut self.blue, &mut self.root] {
            let alerts = alerts["alerts"].as_array().expect("a list").iter();
            let own = alerts.filter(|alert| alert["labels"]["team"] == party.name);
            party.identities = own.map(|alert| text_of(&alert["fingerprint"])).collect();
            let silences = silences["silences"].as_array().expect("a list").iter();
            let comment = party.markers[&Thing::Silence].as_str();
            let own = silences.filter(|silence| silence["comment"] == comment);
            party.identities.extend(own.map(|silence| text_of(&silence["id"])));
        }
    }

    /// Asks all there is to ask as one of them.
    fn look(&self, party: &Party, routes: &[String]) {
        let others = || self.parties().into_iter().filter(|other| other.name != party.name);
        for route in routes {
            for Ask { way: (method, path), body, shows, hides } in self.asks(route) {
                let answer = self.ask(party, (method, &path), body);
                let text = String::from_utf8_lossy(&answer.body);
                if party.name == "root" {
                    // Else it would not be seen that somebody is shown too much.
                    for (thing, whose) in shows.iter().flat_map(|thing| {
                        self.parties().into_iter().map(move |whose| (*thing, whose))
                    }) {
                        let marker = whose.marker(thing);
                        assert!(
                            text.contains(marker),
                            "{path}: {thing:?} of {}: {text}",
                            whose.name
                        );
                    }
                    continue;
                }
                for thing in &shows {
                    let marker = party.marker(*thing);
                    assert!(text.contains(marker), "{path}: {thing:?} of {}: {text}", party.name);
                }
                for other in others() {
                    let identities = other.identities.iter().filter(|_| hides == Hides::Identities);
                    for secret in other.markers.values().chain(identities) {
                        let is_told = text.contains(secret.as_str());
                        assert!(!is_told, "{path}: {} sees {secret}: {text}", party.name);
                    }
                }
            }
        }
    }

    /// What is asked of a route, and what the answer must show.
    fn asks(&self, route: &str) -> Vec<Ask> {
        use Thing::{Own, Posted, Receiver, Recorded, Rule, Series, Shared, Silence};

        let get = |path: &str, shows: &[Thing]| Ask::get(path, shows, Hides::Identities);
        // Values are written once for all: what mutes an alert is named there.
        let follow = |path: &str, shows: &[Thing]| Ask::get(path, shows, Hides::Markers);
        match route {
            "/v1/events" => [
                ("teams/**", &[Thing::Topic][..]),
                ("alerts/events/**", &[Own, Posted, Shared]),
                ("alerts/active", &[Own, Posted, Shared]),
                ("samples/load", &[Series]),
                ("**", &[Thing::Topic, Own, Posted, Shared, Series]),
            ]
            .map(|(filter, shows)| {
                follow(&format!("{route}?topic={filter}&after=earliest&wait=0s"), shows)
            })
            .into_iter()
            .chain([follow(&format!("{route}?query=load&wait=5s"), &[Series])])
            .chain([follow(&format!("{route}?query_name=plain&wait=5s"), &[])])
            .collect(),
            // Names are of those who see the same: whoever sees everything has others.
            "/v1/queries/{name}" => vec![get("/v1/queries/plain", &[])],
            "/v1/topics/{topic}" => [
                ("alerts/active", &[Own, Posted, Shared][..]),
                ("alerts/events/none/Posted", &[Posted]),
                ("samples/load", &[Series]),
                ("teams/red/plain", &[]),
                ("teams/blue/plain", &[]),
                ("teams/root/plain", &[]),
            ]
            .map(|(topic, shows)| follow(&format!("/v1/topics/{topic}?after=earliest"), shows))
            .into_iter()
            .chain([follow("/v1/topics/samples/load?history=15m", &[Series])])
            .collect(),
            "/v1/ds/{topic}" => [
                ("alerts/events/none/Posted", &[Posted][..]),
                ("alerts/events/none/Posted?offset=-1&live=long-poll", &[Posted]),
                ("teams/red/plain", &[]),
                ("teams/blue/plain", &[]),
                ("teams/root/plain", &[]),
            ]
            .map(|(topic, shows)| follow(&format!("/v1/ds/{topic}"), shows))
            .into(),
            "/v1/topics" => vec![get(route, &[Thing::Topic])],
            "/v1/alerts" => {
                let then = format!("{route}?at={}", clock::now().as_ms());
                [route, &then].map(|path| get(path, &[Own, Posted, Shared])).into()
            }
            "/v1/alerts/{fingerprint}" => self
                .parties()
                .into_iter()
                .flat_map(|party| &party.identities)
                .filter(|identity| !identity.contains('-'))
                .map(|fingerprint| follow(&format!("/v1/alerts/{fingerprint}"), &[]))
                .collect(),
            "/v1/silences" | "/api/v2/silences" => vec![get(route, &[Silence])],
            "/api/v2/silence/{id}" => self
                .parties()
                .into_iter()
                .flat_map(|party| &party.identities)
                .filter(|identity| identity.contains('-'))
                .map(|id| get(&format!("/api/v2/silence/{id}"), &[]))
                .collect(),
            "/api/v2/alerts" | "/api/v2/alerts/groups" => vec![
                get(route, &[Own, Posted, Shared, Receiver]),
                get(&format!("{route}?filter=team%3D~%22.*%22"), &[Own, Posted, Shared, Receiver]),
            ],
            "/api/v2/receivers" => vec![get(route, &[Receiver])],
            "/api/v1/alerts" => vec![get(route, &[Own, Shared])],
            "/api/v1/rules" => vec![get(route, &[Own, Shared, Rule, Recorded])],
            "/api/v1/query" => [
                ("%7B__name__%3D~%22.%2B%22%7D", &[Series, Recorded, Own, Shared][..]),
                ("ALERTS", &[Own, Shared]),
                ("load", &[Series]),
                ("recorded", &[Recorded]),
                ("sort(count+by+(team,marker)(load))", &[Series]),
                ("load+*+on(n)+group_left()+right", &[]),
                ("load[1h]", &[Series]),
            ]
            .map(|(query, shows)| get(&format!("{route}?query={query}"), shows))
            .into(),
            "/api/v1/query_range" => {
                let now = self.ask(&self.root, ("GET", "/api/v1/query?query=time()"), "").json();
                let now = now["data"]["result"][0].as_f64().expect("seconds");
                let (start, end) = (now - 60.0, now + 60.0);
                let path = format!("{route}?query=load&start={start}&end={end}&step=5");
                vec![get(&path, &[Series])]
            }
            "/api/v1/series" => {
                let all = "match[]=load&match[]=%7B__name__%3D~%22.%2B%22%7D";
                vec![get(&format!("{route}?{all}"), &[Series, Recorded, Own, Shared])]
            }
            "/api/v1/labels" => vec![get(route, &[])],
            "/api/v1/label/{name}/values" => vec![
                get("/api/v1/label/marker/values", &[Series, Recorded, Own, Shared]),
                get("/api/v1/label/marker/values?match[]=load&start=0", &[Series]),
                get("/api/v1/label/__name__/values", &[]),
            ],
            "/api/v1/parse_query" => vec![get(&format!("{route}?query=load"), &[])],
            "/query" => vec![get(&format!("{route}?q=SHOW+DATABASES"), &[])],
            // What is the same for everybody.
            "/assets/{file}" | "/examples/{file}" => {
                vec![get(&route.replace("{file}", "index.html"), &[])]
            }
            // A text that stands in its path is no secret.
            _ if route.contains('{') => panic!("what is to be asked of {route}?"),
            _ => vec![get(route, &[])],
        }
    }
}

/// What is asked.
struct Ask {
    way: (&'static str, String),
    body: &'static str,
    shows: Vec<Thing>,
    hides: Hides,
}

/// What is hidden of others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hides {
    Markers,
    /// Those, and the identities of their silences and alerts.
    Identities,
}

impl Ask {
    fn get(path: &str, shows: &[Thing], hides: Hides) -> Self {
        Self { way: ("GET", path.to_owned()), body: "", shows: shows.to_vec(), hides }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Rules of each of them, and some that are everybody's.
fn rules(parties: &[&Party]) -> String {
    let mut text = r#"
groups:
- name: shared
  rules:
  - alert: Shared
    expr: strain > 5
    annotations: {summary: "{{ $labels.marker }}"}
  - alert: Failing
    expr: left * on (team) right > 0
"#
    .to_owned();
    for party in parties {
        let [own, rule, recorded] =
            [Thing::Own, Thing::Rule, Thing::Recorded].map(|thing| party.marker(thing));
        let team = party.name;
        write!(
            text,
            r#"
- name: {rule}
  rules:
  - alert: Own
    expr: load{{team="{team}"}} > 5
    labels: {{team: {team}, marker: {own}}}
    annotations: {{rule: {rule}}}
  - record: recorded
    expr: sum by (n) (load{{team="{team}"}})
    labels: {{team: {team}, marker: {recorded}}}
"#
        )
        .expect("text");
    }
    text
}

/// Receivers of each of them; alerts of all inhibit each other.
fn alertmanager(parties: &[&Party]) -> String {
    let receivers: Vec<Value> =
        parties.iter().map(|party| json!({ "name": party.marker(Thing::Receiver) })).collect();
    let route = |party: &&Party| {
        let matchers = format!("team=\"{}\"", party.name);
        json!({ "matchers": [matchers], "receiver": party.marker(Thing::Receiver) })
    };
    let root = parties.last().expect("some").marker(Thing::Receiver);
    // Every JSON is YAML.
    json!({
        "route": {
            "receiver": root,
            "group_by": ["alertname"],
            "routes": parties.iter().map(route).collect::<Value>(),
        },
        "receivers": receivers,
        "inhibit_rules": [{
            "source_matchers": ["kind=\"source\""],
            "target_matchers": ["kind=\"target\""],
        }],
    })
    .to_string()
}

#[test]
fn two_teams_see_nothing_of_each_other_on_any_route() {
    let mut random = Random::announced();
    let mut world = World::start(&mut random);
    let description = world.ask(&world.root, ("GET", "/openapi.json"), "").json();
    let paths = description["paths"].as_object().expect("paths");
    let routes: Vec<String> = paths
        .iter()
        .filter(|(_, methods)| methods["get"].is_object())
        .map(|(path, _)| path.clone())
        .collect();
    for _ in 0..2 {
        world.fill(&mut random);
        world.settle();
        for party in world.parties() {
            world.look(party, &routes);
        }
    }
}

/// What one of them tries on what is another's.
#[test]
fn a_team_neither_silences_nor_posts_nor_changes_what_is_anothers() {
    let mut random = Random::announced();
    let mut world = World::start(&mut random);
    world.fill(&mut random);
    world.settle();
    let World { red, blue, root, .. } = &world;
    let before = world.ask(blue, ("GET", "/api/v2/alerts"), "").json();
    let is_silence = |id: &&String| id.contains('-');
    let id = |party: &Party| party.identities.iter().find(is_silence).expect("a silence").clone();
    let silence = |id: &str, team: &str| {
        json!({
            "id": id,
            "matchers": [{ "name": "team", "value": team, "isRegex": false }],
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": "2999-01-01T00:00:00Z",
            "createdBy": "somebody else",
            "comment": "",
        })
        .to_string()
    };
    for others in [id(blue), id(root)] {
        let path = format!("/api/v2/silence/{others}");
        for way in [("GET", &*path), ("DELETE", &path)] {
            let answer = world.ask(red, way, "");
            assert_eq!((answer.status, answer.json()), (404, json!("silence not found")));
        }
        let answer = world.ask(red, ("POST", "/api/v2/silences"), &silence(&others, "red"));
        assert_eq!((answer.status, answer.json()), (404, json!("silence not found")));
    }
    // One of theirs cannot become wider either.
    let answer = world.ask(red, ("POST", "/api/v2/silences"), &silence(&id(red), "blue"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let made = text_of(&answer.json()["silenceID"]);
    let made = world.ask(red, ("GET", &format!("/api/v2/silence/{made}")), "").json();
    let values: Vec<&Value> =
        made["matchers"].as_array().expect("a list").iter().map(|one| &one["value"]).collect();
    assert_eq!((values, &made["createdBy"]), (vec![&json!("blue"), &json!("red")], &json!("red")));
    let preview = json!({ "matchers": "{team=~\".+\"}" }).to_string();
    let preview = world.ask(red, ("POST", "/v1/silences/preview"), &preview).json();
    let own = world.ask(red, ("GET", "/v1/alerts"), "").json();
    assert_eq!(preview["count"], json!(own["alerts"].as_array().expect("a list").len()));

    // Those of others are refused, and the rest is taken.
    let marker = blue.marker(Thing::Posted);
    let labels = |team: &str, kind: &str| json!({ "alertname": "Posted", "team": team, "kind": kind, "marker": marker });
    let over = "2020-01-01T00:00:00Z";
    let posts = json!([
        { "labels": labels("blue", "source"), "startsAt": over, "endsAt": over },
        { "labels": labels("red", "new") },
    ]);
    let answer = world.ask(red, ("POST", "/api/v2/alerts"), &posts.to_string());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.text().matches("may not post").count(), 1, "{}", answer.text());
    let own = world.ask(red, ("GET", "/api/v2/alerts?filter=kind%3Dnew"), "").json();
    assert_eq!(own.as_array().map(Vec::len), Some(1), "{own}");
    let after = world.ask(blue, ("GET", "/api/v2/alerts"), "").json();
    assert_eq!(texts(&before, "startsAt"), texts(&after, "startsAt"));

    // Who may see some of the alerts may not see whom others are told by.
    let status = world.ask(red, ("GET", "/api/v2/status"), "").json();
    assert_eq!(status["config"]["original"], json!(""));
    let status = world.ask(root, ("GET", "/api/v2/status"), "").json();
    assert_ne!(status["config"]["original"], json!(""));
}

fn texts(alerts: &Value, name: &str) -> Vec<String> {
    alerts.as_array().expect("a list").iter().map(|alert| text_of(&alert[name])).collect()
}
