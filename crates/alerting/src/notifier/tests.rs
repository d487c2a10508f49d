//! The notifier with a real receiver on a real socket, and the journal in memory.

mod receiver;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bellwire_alerts::notification::NotificationReason;
use bellwire_alerts::route::Variant;
use bellwire_journal::{MemoryJournal, ReadLimit};
use bellwire_model::{AlertStatus, Body, Epoch, Filter, Labels, Networks, Offset};
use http::HeaderValue;
use tokio::net::{TcpListener, TcpSocket};

use self::receiver::{receiver, status, tls_receiver, with_header};
use super::*;
use crate::tests::fixture::{Nobody, posted};

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)))
}

/// Starts a notifier whose receiver `ops` has these webhooks, as the file writes them.
fn start(journal: &Arc<dyn Journal>, webhooks: &str) -> (Arc<Notifier>, Arc<Figures>) {
    // Receivers of tests are on this machine.
    let allowed = Networks::read(["loopback"]).expect("a network");
    start_within(journal, webhooks, Reach::of_webhooks(allowed))
}

fn start_within(
    journal: &Arc<dyn Journal>,
    webhooks: &str,
    reach: Reach,
) -> (Arc<Notifier>, Arc<Figures>) {
    start_in(journal, webhooks, (reach, Charge::always()))
}

fn start_in(
    journal: &Arc<dyn Journal>,
    webhooks: &str,
    (reach, charge): (Reach, Charge),
) -> (Arc<Notifier>, Arc<Figures>) {
    let figures = Arc::new(Figures::default());
    let parts = NotifierParts {
        config: config(webhooks),
        journal: Arc::clone(journal),
        figures: Arc::clone(&figures),
        external_url: "http://bellwire".into(),
        start_delay: Duration::ZERO,
        reach,
        charge,
    };
    let (notifier, run) = Notifier::open(parts).expect("opened");
    tokio::spawn(run.forever());
    (notifier, figures)
}

fn config(webhooks: &str) -> Config {
    let text = format!(
        "route: {{receiver: ops, group_wait: 0s, group_interval: 1h}}\n\
         receivers: [{{name: ops, webhook_configs: [{webhooks}]}}]"
    );
    Config::parse(&text).expect("valid")
}

fn firing(name: &str) -> Update {
    let alert = posted(&[("alertname", name)], clock::now());
    Update { alert: Arc::new(alert), status: AlertStatus::default() }
}

/// Waits until something holds; the test's runner bounds how long.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn dead_letters(journal: &dyn Journal) -> Vec<serde_json::Value> {
    events(journal, "alerts/dead-letters/*")
}

/// What events say that match a filter.
fn events(journal: &dyn Journal, filter: &str) -> Vec<serde_json::Value> {
    let filter: Filter = filter.parse().expect("a filter");
    let page = journal.read(Offset::ZERO, &filter.into(), ReadLimit::PAGE).expect("a page");
    let bodies = page.entries.iter().map(|entry| match &entry.event.body {
        Some(Body::Json(body)) => serde_json::from_slice(body).expect("JSON"),
        other => panic!("{other:?}"),
    });
    bodies.collect()
}

#[tokio::test]
async fn a_webhook_is_told_and_a_restart_does_not_tell_it_again() {
    let (address, mut requests) = receiver([]).await;
    let journal = journal();
    let hook = format!(
        "{{url: 'http://{address}/hook?a=b', http_config: {{basic_auth: {{username: ada, password: x}}}}}}"
    );
    let (notifier, figures) = start(&journal, &hook);
    notifier.take([firing("Hot")]);
    let got = requests.recv().await.expect("a request");
    assert_eq!((got.path.as_str(), got.story()), ("/hook", "first notification: Hot".to_owned()));
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(got.headers["authorization"], "Basic YWRhOng=");
    assert!(got.headers["user-agent"].to_str().expect("text").starts_with("Bellwire/"));
    assert_eq!(got.payload["externalURL"], "http://bellwire");
    until(|| figures.notifications.get() == 1).await;
    assert_eq!(journal.records(Address::KEY_PREFIX).expect("records").len(), 1);
    assert_eq!(figures.notifications_failed.get(), 0);

    let (again, _) = start(&journal, &hook);
    again.take([firing("Hot")]);
    again.take([firing("Cold")]);
    let got = requests.recv().await.expect("a request");
    assert_eq!(got.story(), "new alerts added: Cold Hot");
}

#[tokio::test]
async fn who_does_not_tell_of_alerts_now_waits_until_they_do() {
    let (address, mut requests) = receiver([]).await;
    let journal = journal();
    let asked = Arc::new(AtomicUsize::new(0));
    let is_ours = Arc::new(AtomicBool::new(false));
    let (of, counted) = (Arc::clone(&is_ours), Arc::clone(&asked));
    let charge = Charge::told(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        of.load(Ordering::Relaxed)
    });
    let allowed = Networks::read(["loopback"]).expect("a network");
    let to = (Reach::of_webhooks(allowed), charge);
    let (notifier, figures) = start_in(&journal, &format!("{{url: 'http://{address}'}}"), to);
    notifier.take([firing("Hot")]);
    until(|| asked.load(Ordering::Relaxed) > 2).await;
    assert!(figures.notification_requests.get() == 0 && requests.try_recv().is_err());
    is_ours.store(true, Ordering::Relaxed);
    assert_eq!(requests.recv().await.expect("a request").story(), "first notification: Hot");
}

#[tokio::test]
async fn what_has_waited_for_this_server_all_the_time_is_put_off_and_no_dead_letter() {
    let (config, charge) = (config("{url: 'http://127.0.0.1:9'}"), Charge::told(|| false));
    let webhook = &config.receivers[0].webhooks[0];
    let lane = Lane::new(webhook, &Trust::of_system(), &Reach::default());
    let address = Address {
        receiver: "ops".into(),
        webhook: 0,
        group_key: "{}".into(),
        variant: Variant::ALONE,
    };
    let notification = Arc::new(Notification {
        address,
        group_labels: Labels::empty(),
        alerts: vec![firing("Hot")],
        reason: NotificationReason::First,
        time: clock::now(),
        deadline: clock::steady().saturating_add(Duration::from_millis(20)),
    });
    let (url, figures) = ("http://bellwire".into(), Figures::default());
    let delivered = lane.deliver(&notification, &url, (&figures, &charge)).await;
    assert_eq!(delivered, Err(NotDelivered::Postponed));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_a_dead_letter() {
    let busy = with_header(status(429), "retry-after", "1");
    let (address, mut requests) = receiver([status(503), busy, status(200), status(404)]).await;
    let journal = journal();
    let (notifier, figures) = start(&journal, &format!("{{url: 'http://{address}'}}"));
    notifier.take([firing("Hot")]);
    let mut times = Vec::new();
    for _ in 0..3 {
        assert_eq!(requests.recv().await.expect("a request").story(), "first notification: Hot");
        times.push(clock::now());
    }
    assert!(times[2].saturating_since(times[1]) >= Duration::from_millis(990), "Retry-After");
    until(|| figures.notifications.get() == 1).await;
    assert_eq!(figures.notification_requests_failed.get(), 2);
    // It is there by the time that it counts.
    let sent = &events(&*journal, "alerts/notifications/ops")[0];
    assert_eq!((&sent["attempts"], &sent["alerts"]), (&3.into(), &1.into()));
    assert_eq!(sent["firing"][0], firing("Hot").fingerprint().to_string());

    let (address, mut requests) = receiver([status(404)]).await;
    notifier.replace(config(&format!("{{url: 'http://{address}'}}")));
    notifier.take([firing("Cold")]);
    requests.recv().await.expect("a request");
    until(|| figures.notifications_failed.get() == 1).await;
    until(|| !dead_letters(&*journal).is_empty()).await;
    let letter = &dead_letters(&*journal)[0];
    assert_eq!(letter["reason"], "the webhook answers 404 Not Found: as scripted");
    assert_eq!((&letter["attempts"], &letter["last_status"]), (&1.into(), &404.into()));
    assert_eq!((&letter["receiver"], &letter["webhook"]), (&"ops".into(), &0.into()));
    assert_eq!(letter["payload"]["groupKey"], "{}:{}");
}

#[tokio::test]
async fn a_dead_webhook_holds_up_no_other() {
    let (address, mut requests) = receiver([]).await;
    // Nobody listens on this port, and nobody else can.
    let refusing = TcpSocket::new_v4().expect("a socket");
    refusing.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let dead = refusing.local_addr().expect("an address");
    let journal = journal();
    let hooks = format!("{{url: 'http://{dead}'}}, {{url: 'http://{address}'}}");
    let (notifier, figures) = start(&journal, &hooks);
    notifier.take([firing("Hot")]);
    assert_eq!(requests.recv().await.expect("a request").story(), "first notification: Hot");
    until(|| figures.notification_requests_failed.get() >= 2).await;
    assert_eq!(figures.notifications_waiting.get(), 1, "it is tried until the next look");
}

#[tokio::test]
async fn a_name_and_a_password_in_a_url_are_told_in_a_header() {
    let (other, mut elsewhere) = receiver([]).await;
    let moved = with_header(status(307), "location", "/moved");
    let away = with_header(status(308), "location", &format!("http://{other}/away"));
    let (address, mut requests) = receiver([moved, away]).await;
    let hook = format!(
        "{{url: 'http://ada:p%40ss%3A@{address}/', http_config: {{authorization: {{credentials: x}}}}}}"
    );
    let (notifier, _) = start(&journal(), &hook);
    notifier.take([firing("Hot")]);
    for path in ["/", "/moved"] {
        let got = requests.recv().await.expect("a request");
        // `ada:p@ss:`
        assert_eq!(
            (got.path.as_str(), &got.headers["authorization"]),
            (path, &HeaderValue::from_static("Basic YWRhOnBAc3M6"))
        );
    }
    let got = elsewhere.recv().await.expect("a request");
    assert_eq!((got.path.as_str(), got.headers.get("authorization")), ("/away", None));
}

#[tokio::test]
async fn a_request_goes_on_with_its_body_but_not_with_its_credentials() {
    let (other, mut elsewhere) = receiver([]).await;
    let moved = with_header(status(307), "location", "/moved");
    let away = with_header(status(308), "location", &format!("http://{other}/away"));
    let see_other = with_header(status(303), "location", "/seen");
    let (address, mut requests) = receiver([moved, away, see_other]).await;
    let journal = journal();
    let hook =
        format!("{{url: 'http://{address}/', http_config: {{authorization: {{credentials: x}}}}}}");
    let (notifier, figures) = start(&journal, &hook);
    notifier.take([firing("Hot")]);
    for path in ["/", "/moved"] {
        let got = requests.recv().await.expect("a request");
        assert_eq!(
            (got.path.as_str(), &got.headers["authorization"]),
            (path, &HeaderValue::from_static("Bearer x"))
        );
    }
    let got = elsewhere.recv().await.expect("a request");
    assert_eq!((got.path.as_str(), got.headers.get("authorization")), ("/away", None));
    assert_eq!(got.story(), "first notification: Hot");

    notifier.replace(config(&hook));
    notifier.take([firing("Cold")]);
    requests.recv().await.expect("a request");
    until(|| figures.notifications_failed.get() == 1).await;
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let journal = journal();
    let (_notifier, figures) = {
        let (notifier, figures) =
            start(&journal, &format!("{{url: 'http://{address}', timeout: 50ms}}"));
        notifier.take([firing("Hot")]);
        (notifier, figures)
    };
    // Connections are accepted, and never answered.
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(listener.accept().await.expect("a connection"));
    }
    until(|| figures.notification_requests_failed.get() >= 2).await;
    assert_eq!(figures.notifications.get(), 0);
}

#[tokio::test]
async fn over_tls_only_who_is_trusted_is_told() {
    let (address, mut requests, certificate) = tls_receiver().await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), certificate).expect("written");
    let url = format!("https://localhost:{}/", address.port());
    let journal = journal();
    let (notifier, figures) = start(&journal, &format!("{{url: '{url}'}}"));
    notifier.take([firing("Hot")]);
    until(|| figures.notification_requests_failed.get() > 0).await;
    let trusting = format!("{{url: '{url}', http_config: {{tls_config: {{ca_file: ca.pem}}}}}}");
    notifier.replace(config(&trusting).in_folder(folder.path()));
    assert_eq!(requests.recv().await.expect("a request").story(), "first notification: Hot");
}

#[tokio::test]
async fn what_only_this_machine_may_ask_is_not_reached_by_name_nor_by_a_redirect() {
    let (address, mut requests) = receiver([]).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"] {
        let journal = journal();
        let hook = format!("{{url: 'http://{host}:{}/'}}", address.port());
        let (notifier, figures) = start_within(&journal, &hook, Reach::default());
        notifier.take([firing("Hot")]);
        until(|| figures.notifications_failed.get() == 1 && !dead_letters(&*journal).is_empty())
            .await;
        let letter = dead_letters(&*journal).remove(0);
        let reason = letter["reason"].as_str().expect("a reason");
        assert!(reason.contains("--webhook-networks-allowed"), "{host}: {reason}");
        assert_eq!(letter["attempts"], 1, "{host}: there is no use in trying again");
    }
    assert!(requests.try_recv().is_err(), "nobody has asked");

    let away =
        with_header(status(307), "location", &format!("http://127.0.0.2:{}/", address.port()));
    let (first, mut asked) = receiver([away]).await;
    let journal = journal();
    let allowed = Networks::read(["127.0.0.1"]).expect("a network");
    let hook = format!("{{url: 'http://{first}/'}}");
    let (notifier, figures) = start_within(&journal, &hook, Reach::of_webhooks(allowed));
    notifier.take([firing("Hot")]);
    asked.recv().await.expect("a request");
    until(|| figures.notifications_failed.get() == 1 && !dead_letters(&*journal).is_empty()).await;
    let reason = dead_letters(&*journal).remove(0)["reason"].to_string();
    assert!(reason.contains("127.0.0.2"), "{reason}");
}
