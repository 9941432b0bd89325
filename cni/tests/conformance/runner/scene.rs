//! One cell of the table while it runs: pods, calls, and what is put right afterwards.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::bench::{Bench, Netns};
use super::call::{Answer, Call};
use super::subject::{Kind, Pool, Subject};

/// Why a cell is not green.
#[derive(Debug)]
pub enum Trouble {
    /// The plugin is wrong.
    Red(String),
    /// The case has nothing to look at here.
    NotApplicable(&'static str),
}

impl From<String> for Trouble {
    fn from(words: String) -> Self {
        Self::Red(words)
    }
}

/// What a case gives back.
pub type Outcome = Result<(), Trouble>;

/// The verdict "red" with words, unless it holds.
pub fn ensure(holds: bool, words: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Trouble::Red(words())) }
}

/// The interface name that most cases use.
pub const IFNAME: &str = "net1";

/// A pod: a namespace and a container id.
pub struct Pod {
    /// Its namespace.
    pub netns: Netns,
    /// Its container id.
    pub container: String,
}

impl Pod {
    /// Names of the links inside but `lo`, as the kernel has them: what a result tells is for the rows about results.
    pub fn links(&self) -> Result<Vec<String>, String> {
        let links = self.netns.ip_json("link show")?;
        let names = links.iter().filter_map(|link| link["ifname"].as_str()).filter(|name| *name != "lo");
        Ok(names.map(str::to_owned).collect())
    }
}

/// An attachment that ADD made.
pub struct Attachment {
    /// The call.
    pub add: Call,
    /// The answer.
    pub result: Value,
}

impl Attachment {
    /// Addresses with prefix length that the result tells.
    pub fn addresses(&self) -> Vec<String> {
        list(&self.result["ips"]).iter().filter_map(|ip| ip["address"].as_str()).map(str::to_owned).collect()
    }
}

/// The items of an array, none when it is none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One cell while it runs.
pub struct Scene<'a> {
    /// The plugin under test.
    pub subject: &'a Subject,
    /// What it stands on.
    pub bench: &'a Bench,
    /// The version of the column.
    pub version: &'static str,
    /// What the plugin says it speaks.
    pub spoken: &'a [String],
    /// Number of the case.
    pub number: usize,
    made: RefCell<Vec<Call>>,
    /// After `made`: DELs find the namespaces as long as the case did not take them away.
    pods: RefCell<Vec<Rc<Pod>>>,
}

impl<'a> Scene<'a> {
    /// A cell.
    pub fn new(
        subject: &'a Subject,
        bench: &'a Bench,
        version: &'static str,
        spoken: &'a [String],
        number: usize,
    ) -> Self {
        Self { subject, bench, version, spoken, number, made: RefCell::default(), pods: RefCell::default() }
    }

    /// Whether the column's version is this one or newer.
    pub fn since(&self, version: &str) -> bool {
        self.version >= version
    }

    /// Whether the plugin makes interfaces.
    pub fn is_main(&self) -> bool {
        self.subject.kind == Kind::Main
    }

    /// A new pod; it lives as long as the cell.
    pub fn pod(&self) -> Result<Rc<Pod>, String> {
        let mut pods = self.pods.borrow_mut();
        let container = format!("cf{:x}-{}-{}", std::process::id(), self.number, pods.len());
        let pod = Rc::new(Pod { netns: Netns::new("pod")?, container });
        pods.push(Rc::clone(&pod));
        Ok(pod)
    }

    /// A call about a pod, whole and right.
    pub fn call(&self, command: &str, pod: &Pod, pool: Pool) -> Call {
        let mut config = (self.subject.config)(pool, self.number);
        config["cniVersion"] = self.version.into();
        let variables = [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", &pod.container),
            ("CNI_NETNS", pod.netns.path()),
            ("CNI_IFNAME", IFNAME),
            ("CNI_PATH", &self.subject.path),
        ];
        Call {
            program: self.subject.program.clone(),
            arguments: self.subject.arguments.clone(),
            others: self.subject.environment.clone(),
            variables: variables.map(|(name, value)| (name, value.to_owned())).into(),
            config,
            stdin: None,
        }
    }

    /// A whole and right ADD.
    pub fn add(&self, pod: &Pod) -> Call {
        self.call("ADD", pod, Pool::Wide)
    }

    /// A call that is about no container: GC, STATUS, VERSION.
    pub fn plain(&self, command: &str, pool: Pool) -> Call {
        let nowhere = Pod { netns: Netns::none(), container: String::new() };
        let call = self.call(command, &nowhere, pool);
        call.without("CNI_CONTAINERID").without("CNI_NETNS").without("CNI_IFNAME")
    }

    /// Makes a call and remembers that its DEL is due.
    pub fn run(&self, call: &Call) -> Result<Answer, String> {
        self.remember(call);
        call.run()
    }

    /// Remembers that a call's DEL is due.
    pub fn remember(&self, call: &Call) {
        if call.variables.get("CNI_COMMAND").is_some_and(|command| command == "ADD") {
            self.made.borrow_mut().push(call.clone());
        }
    }

    /// An ADD that must succeed.
    pub fn attach(&self, pod: &Pod) -> Result<Attachment, String> {
        self.attach_with(self.add(pod))
    }

    /// This ADD must succeed.
    pub fn attach_with(&self, add: Call) -> Result<Attachment, String> {
        let result = self.run(&add)?.result().map_err(|words| format!("ADD: {words}"))?;
        Ok(Attachment { add, result })
    }

    /// The later call about an attachment, with `prevResult` where the version has it.
    pub fn later(&self, command: &str, attachment: &Attachment) -> Call {
        let call = attachment.add.clone().with("CNI_COMMAND", command);
        if self.since("0.4.0") { call.key("prevResult", attachment.result.clone()) } else { call }
    }

    /// DEL of an attachment, which must succeed.
    pub fn detach(&self, attachment: &Attachment) -> Result<(), String> {
        self.later("DEL", attachment).run()?.succeeded().map_err(|words| format!("DEL: {words}"))
    }

    /// Fills the narrow pool.
    pub fn fill(&self) -> Result<Vec<(Rc<Pod>, Attachment)>, String> {
        (0..self.subject.narrow_size)
            .map(|_| {
                let pod = self.pod()?;
                let attachment = self.attach_with(self.call("ADD", &pod, Pool::Narrow))?;
                Ok((pod, attachment))
            })
            .collect()
    }

    /// One more attachment in the narrow pool.
    pub fn one_more(&self) -> Result<(Rc<Pod>, Answer), String> {
        let pod = self.pod()?;
        let answer = self.run(&self.call("ADD", &pod, Pool::Narrow))?;
        Ok((pod, answer))
    }

    /// GC with these attachments in the list.
    pub fn gc(&self, pool: Pool, valid: &[&Attachment]) -> Call {
        let valid: Vec<Value> = valid
            .iter()
            .map(|attachment| {
                let of = &attachment.add.variables;
                json!({"containerID": of.get("CNI_CONTAINERID"), "ifname": of.get("CNI_IFNAME")})
            })
            .collect();
        self.plain("GC", pool).key("cni.dev/valid-attachments", valid)
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        for add in self.made.get_mut() {
            drop(add.clone().with("CNI_COMMAND", "DEL").run());
        }
        for pod in self.pods.get_mut().drain(..) {
            // Nobody else has it any more: the case is over.
            if let Some(pod) = Rc::into_inner(pod) {
                pod.netns.clear();
                self.bench.keep(pod.netns);
            }
        }
    }
}
