//! The driver of this client for the suite of `clients/conformance`, which says what it speaks.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_client::{BoxError, Client, CursorStore, Error, Item, Items, Status};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

const CAPABILITIES: [&str; 9] =
    ["sse", "state", "queries", "tokens", "renew", "store", "pause", "publish", "samples"];
/// Commands that are read ahead.
const COMMANDS_MAX: usize = 1_000;

/// A command, whichever it is: members that it does not have are left out.
#[derive(Deserialize)]
struct Command {
    #[serde(rename = "do")]
    name: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    filters: Vec<String>,
    #[serde(default)]
    queries: Vec<String>,
    after: Option<String>,
    state: Option<String>,
    store: Option<String>,
    token: Option<String>,
    tokens: Option<Vec<Option<String>>>,
    client: Option<String>,
    topic: Option<String>,
    data: Option<Box<RawValue>>,
    key: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    idempotency_key: Option<String>,
    timeout_ms: Option<u64>,
    samples: Option<Value>,
}

/// What becomes of a subscription.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Events,
    Nothing,
    Closed,
}

/// Cursors by the names of their stores.
type Kept = Arc<Mutex<HashMap<String, String>>>;

#[derive(Default)]
struct Driver {
    clients: HashMap<String, Client>,
    kept: Kept,
    follows: HashMap<String, watch::Sender<Wanted>>,
}

struct Store {
    name: String,
    kept: Kept,
}

impl CursorStore for Store {
    async fn load(&self) -> Result<Option<String>, BoxError> {
        Ok(self.kept.lock().expect("not poisoned").get(&self.name).cloned())
    }

    async fn save(&self, cursor: String) -> Result<(), BoxError> {
        self.kept.lock().expect("not poisoned").insert(self.name.clone(), cursor);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tell(&json!({
        "tell": "hello", "name": "bellwire-client (Rust)", "capabilities": CAPABILITIES
    }));
    let (sender, mut lines) = mpsc::channel(COMMANDS_MAX);
    // Reading blocks, and so has a thread of its own.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut driver = Driver::default();
    while let Some(line) = lines.recv().await {
        let command: Command = serde_json::from_str(&line).expect("a command");
        if command.name == "exit" {
            return;
        }
        let id = command.id.clone();
        if let Err(error) = driver.run(command) {
            tell(&json!({ "id": id, "tell": "error", "error": of_error(&error) }));
        }
    }
}

impl Driver {
    fn run(&mut self, command: Command) -> Result<(), Error> {
        match command.name.as_str() {
            "follow" => self.follow(command)?,
            "publish" => self.publish(command)?,
            "samples" => self.samples(command)?,
            "close" => self.want(&command.id, Wanted::Closed),
            "pause" => self.want(&command.id, Wanted::Nothing),
            "resume" => self.want(&command.id, Wanted::Events),
            // Later versions of the suite may have others.
            _ => {}
        }
        Ok(())
    }

    fn want(&self, id: &str, wanted: Wanted) {
        if let Some(follow) = self.follows.get(id) {
            follow.send_replace(wanted);
        }
    }

    fn client(&mut self, command: &mut Command) -> Result<Client, Error> {
        let known = command.client.as_ref().and_then(|name| self.clients.get(name));
        if let Some(client) = known {
            return Ok(client.clone());
        }
        let mut builder = Client::builder(&command.url)?;
        if let Some(token) = command.token.take() {
            builder = builder.token(token);
        }
        if let Some(mut tokens) = command.tokens.take() {
            tokens.reverse();
            let left = Mutex::new(tokens);
            builder = builder.token_source(move || {
                let mut left = left.lock().expect("not poisoned");
                let token = if left.len() > 1 { left.pop() } else { left.last().cloned() };
                async move {
                    let token = token.flatten();
                    Ok(Some(token.ok_or("there is no token at the moment")?))
                }
            });
        }
        let client = builder.build()?;
        if let Some(name) = command.client.take() {
            self.clients.insert(name, client.clone());
        }
        Ok(client)
    }

    fn follow(&mut self, mut command: Command) -> Result<(), Error> {
        let mut subscribe = self.client(&mut command)?.subscribe(command.filters);
        for query in command.queries {
            subscribe = subscribe.query(query);
        }
        if let Some(after) = command.after {
            subscribe = subscribe.after(after);
        }
        if let Some(state) = command.state {
            subscribe = subscribe.parameter("state", state);
        }
        if let Some(name) = command.store {
            subscribe = subscribe.store(Store { name, kept: Arc::clone(&self.kept) });
        }
        let (sender, wanted) = watch::channel(Wanted::Events);
        self.follows.retain(|_, follow| !follow.is_closed());
        self.follows.insert(command.id.clone(), sender);
        tokio::spawn(pass_on(command.id, subscribe.items(), wanted));
        Ok(())
    }

    fn publish(&mut self, mut command: Command) -> Result<(), Error> {
        let client = self.client(&mut command)?;
        let mut publish = client.publish(&command.topic.unwrap_or_default(), command.data);
        if let Some(key) = command.key {
            publish = publish.key(&key);
        }
        if let Some(event_type) = command.event_type {
            publish = publish.event_type(&event_type);
        }
        if let Some(key) = command.idempotency_key {
            publish = publish.idempotency_key(&key);
        }
        if let Some(ms) = command.timeout_ms {
            publish = publish.timeout(Duration::from_millis(ms));
        }
        let id = command.id;
        tokio::spawn(async move { answer(&id, publish.send().await.map(|it| json!(it))) });
        Ok(())
    }

    fn samples(&mut self, mut command: Command) -> Result<(), Error> {
        let samples = match command.samples.take() {
            Some(Value::Array(samples)) => samples,
            one => one.into_iter().collect(),
        };
        let mut send = self.client(&mut command)?.samples(samples);
        if let Some(ms) = command.timeout_ms {
            send = send.timeout(Duration::from_millis(ms));
        }
        let id = command.id;
        tokio::spawn(async move { answer(&id, send.send().await.map(|it| json!(it))) });
        Ok(())
    }
}

/// Tells of a subscription in the order in which it gives things.
async fn pass_on(id: String, mut items: Items, mut wanted: watch::Receiver<Wanted>) {
    let error = loop {
        let wants = *wanted.borrow_and_update();
        if wants == Wanted::Closed {
            items.close().await;
            break None;
        }
        let next = tokio::select! {
            biased;
            _ = wanted.changed() => continue,
            next = items.next(), if wants == Wanted::Events => next,
        };
        match next {
            Some(Ok(item)) => tell_item(&id, &item),
            Some(Err(error)) => break Some(of_error(&error)),
            None => break None,
        }
    };
    tell(&json!({ "id": id, "tell": "closed", "error": error }));
}

fn tell_item(id: &str, item: &Item) {
    let raw = |json: &str| -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("it was read as JSON")
    };
    match item {
        Item::Event(event) => tell_raw(id, "event", &raw(event.json())),
        Item::Control(control) => tell_raw(id, "control", &raw(control.json())),
        Item::Status(Status::Waiting { error, retry_in }) => tell(&json!({
            "id": id, "tell": "status", "status": "waiting",
            "error": of_error(error), "retry_in_ms": retry_in.as_millis() as u64
        })),
        Item::Status(status) => {
            let status = if matches!(status, Status::Live) { "live" } else { "connecting" };
            tell(&json!({ "id": id, "tell": "status", "status": status }));
        }
        _ => {}
    }
}

/// Events are told as they came, without being read once more.
fn tell_raw(id: &str, kind: &str, item: &RawValue) {
    print(&format!("{{\"id\":{},\"tell\":\"{kind}\",\"{kind}\":{item}}}", json!(id)));
}

fn answer(id: &str, sent: Result<Value, Error>) {
    match sent {
        Ok(answer) => tell(&json!({ "id": id, "tell": "answer", "answer": answer })),
        Err(error) => tell(&json!({ "id": id, "tell": "error", "error": of_error(&error) })),
    }
}

fn of_error(error: &Error) -> Value {
    let mut told = json!({ "code": error.code(), "message": error.to_string() });
    match error {
        Error::Problem(problem) => {
            told["status"] = problem.status.as_u16().into();
            let retry_after = problem.retry_after.map(|wait| wait.as_millis() as u64);
            told["retry_after_ms"] = retry_after.into();
            told["may_be_taken"] = problem.may_be_taken.into();
        }
        Error::Unsent(unsent) => {
            told["may_be_taken"] = unsent.may_be_taken.into();
            told["idempotency_key"] = unsent.idempotency_key.clone().into();
        }
        _ => {}
    }
    told
}

fn tell(told: &Value) {
    print(&told.to_string());
}

fn print(line: &str) {
    let mut output = std::io::stdout().lock();
    // Without a reader there is nobody to tell anything.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
