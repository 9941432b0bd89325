//! The command line, and what each command does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, CommandFactory, Parser, Subcommand};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use openapi::{Client, SelectAnswer, SelectPlugin, SelectRequest};

use crate::bundle::{self, OfNode};
use crate::facts::{Facts, NodeFacts};
use crate::gather::{self, Access, Cluster, Wanted};
use crate::output::{self, Format};
use crate::way::Way;
use crate::why::{self, DryRun};
use crate::{COULD_NOT_ASK, FINE, PROBLEM, Verdict, annotation, doctor, explain, view};

/// Where the agent of this machine listens.
const SOCKET: &str = "/run/multi-nic/api.sock";

/// Lines of an agent's log that a bundle has.
const LOG_LINES: i64 = 2000;

/// Multi-NIC for people: nodes, NICs, networks, why a pod has what it has, and what is wrong.
///
/// Ends with 0 when all is well, 1 when something is wrong (doctor, why, explain), 2 when what has to be asked could not be.
#[derive(Debug, Parser)]
#[command(name = "kubectl-multinic", bin_name = "kubectl multinic", version, max_term_width = 100)]
pub struct Cli {
    /// Kubeconfig. Default: KUBECONFIG, else ~/.kube/config.
    #[arg(long, value_name = "FILE", global = true)]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. Default: the current one.
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,
    /// Namespace of the pod. Default: that of the context.
    #[arg(short, long, value_name = "NAME", global = true)]
    namespace: Option<String>,
    /// Namespace of the operator and the agents.
    #[arg(long, value_name = "NAME", default_value = "multi-nic-cni-operator", global = true)]
    system_namespace: String,
    /// Asks the agent of this machine alone, and no cluster (as root).
    #[arg(long, global = true, conflicts_with_all = ["kubeconfig", "context"])]
    local: bool,
    /// Socket of the agent of this machine; implies --local. Default: /run/multi-nic/api.sock.
    #[arg(long, value_name = "PATH", global = true, conflicts_with_all = ["kubeconfig", "context"])]
    socket: Option<PathBuf>,
    /// multi-nicd, which records this machine for a bundle with --local.
    #[arg(long, value_name = "PATH", default_value = "multi-nicd", global = true)]
    multi_nicd: PathBuf,
    /// Answers from a support bundle (or its facts.json), and asks nobody.
    #[arg(long, value_name = "FILE", global = true, conflicts_with_all = ["local", "socket", "kubeconfig", "context"])]
    facts: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Each node: its agent, NICs, virtual functions, networks, routes, warnings.
    Nodes {
        #[command(flatten)]
        of: OfNodes,
        #[command(flatten)]
        form: Form,
    },
    /// Each NIC: driver, speed, class, NUMA node, whether pods may get it, who holds it. Without --node or --ask as agents
    /// published it.
    Nics {
        #[command(flatten)]
        of: OfNodes,
        /// Also links without a device, and virtual functions.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Each network: plugin, subnet, hosts, attachment definitions, and what keeps it from being ready.
    Networks {
        /// This one alone.
        name: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Why a pod has its networks, or has them not: what it asked for, what it got, the first cause and the fix.
    Why {
        /// The pod.
        pod: String,
        #[command(flatten)]
        form: Form,
    },
    /// Which NICs a pod would get on a node, and which rule leaves each other one out. Nothing changes.
    Explain(Explain),
    /// Routes between hosts: wanted, there, missing.
    Routes {
        /// This node alone.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
        /// This network alone.
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Checks all that is known to go wrong, each with what was found and the fix. Asks every agent, or that of --node.
    Doctor {
        /// Asks this node's agent alone.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
        /// Asks no agent: objects alone.
        #[arg(long, conflicts_with = "node")]
        no_agents: bool,
        /// Shows only what is not fine.
        #[arg(long)]
        problems: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Writes one file with all that is known, for whoever helps: masked, and without Secrets.
    SupportBundle {
        /// The file. Default: multi-nic-bundle.tar.gz.
        #[arg(short, long, value_name = "FILE", default_value = "multi-nic-bundle.tar.gz")]
        output: PathBuf,
        /// These nodes alone; may be given several times. Default: all.
        #[arg(long, value_name = "NAME")]
        node: Vec<String>,
    },
    /// Prints the completion of a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct OfNodes {
    /// This node alone, and its agent is asked.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Asks every agent.
    #[arg(long)]
    ask: bool,
}

#[derive(Debug, Args)]
struct Form {
    /// Form of the output.
    #[arg(short = 'o', long = "output", value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

#[derive(Debug, Args)]
struct Explain {
    /// The node; with --local that of this machine.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The network.
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// At most so many NICs. Default: all that fit.
    #[arg(long, value_name = "NUMBER")]
    nics: Option<u32>,
    /// Names of NICs, in order.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    masters: Vec<String>,
    /// Device class that they must be of.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Bandwidth that they are to have together, like 25G.
    #[arg(long, value_name = "BANDWIDTH")]
    target: Option<String>,
    /// PCI addresses of the pod's GPUs.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    gpus: Vec<String>,
    /// What is made of them: ipvlan, macvlan, host-device. Default: the network's.
    #[arg(long, value_name = "TYPE")]
    plugin: Option<String>,
    /// As this pod asks for the network: its node and the arguments of its annotation.
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// Where facts come from.
enum Source {
    Cluster(Cluster),
    Local(Way, PathBuf),
    Recorded(PathBuf),
}

impl Source {
    async fn of(cli: &Cli) -> anyhow::Result<Self> {
        if let Some(file) = &cli.facts {
            return Ok(Self::Recorded(file.clone()));
        }
        if cli.local || cli.socket.is_some() {
            let socket = cli.socket.clone().unwrap_or_else(|| SOCKET.into());
            let way = Way::Socket { client: Client::unix(&socket), multi_nicd: cli.multi_nicd.clone() };
            return Ok(Self::Local(way, socket));
        }
        let access = Access {
            kubeconfig: cli.kubeconfig.clone(),
            context: cli.context.clone(),
            system_namespace: cli.system_namespace.clone(),
        };
        Ok(Self::Cluster(Cluster::open(&access).await?))
    }

    /// Facts; the agents of the nodes that are wanted are asked, too.
    async fn facts(&self, wanted: Wanted, ask: impl Fn(&NodeFacts) -> bool) -> anyhow::Result<Facts> {
        let facts = match self {
            Self::Recorded(file) => return gather::recorded(file),
            Self::Local(way, socket) => return gather::local(way, socket).await,
            Self::Cluster(cluster) => {
                let mut facts = cluster.facts(wanted).await?;
                gather::ask_agents(cluster, &mut facts, ask).await;
                facts
            }
        };
        for unread in &facts.unread {
            output::note(&format!("{} cannot be read: {}", unread.what, unread.why));
        }
        Ok(facts)
    }

    /// The way to the agent of a node.
    async fn way(self, node: Option<&str>) -> anyhow::Result<Way> {
        match self {
            Self::Local(way, _) => Ok(way),
            Self::Recorded(_) => bail!("a bundle cannot be asked what an agent would do: leave out --facts"),
            Self::Cluster(cluster) => {
                let name = node.context("say which node: --node NAME (or --pod NAME that is on one)")?;
                let facts = cluster.facts(Wanted::Objects).await?;
                let node = facts.node(name).ok_or_else(|| no_node(&facts, name))?;
                gather::way_to(&cluster, node)
            }
        }
    }
}

fn no_node(facts: &Facts, name: &str) -> anyhow::Error {
    let names: Vec<&str> = facts.nodes.iter().map(|node| node.name.as_str()).collect();
    anyhow!("there is no node {name}; there are: {}", names.join(", "))
}

fn must_be_there(facts: &Facts, name: Option<&str>) -> anyhow::Result<()> {
    match name {
        Some(name) if facts.node(name).is_none() => Err(no_node(facts, name)),
        _ => Ok(()),
    }
}

fn say(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())
}

/// Does what the command line says; the exit code.
pub(crate) async fn carry_out(cli: &Cli, out: &mut dyn Write) -> anyhow::Result<u8> {
    if let Command::Completion { shell } = &cli.command {
        clap_complete::generate(*shell, &mut Cli::command(), "kubectl-multinic", out);
        return Ok(FINE);
    }
    let source = Source::of(cli).await?;
    match &cli.command {
        Command::Completion { .. } => Ok(FINE),
        Command::Nodes { of, form } => {
            let facts = source.facts(Wanted::Objects, |node| of.asks(node)).await?;
            must_be_there(&facts, of.node.as_deref())?;
            say(out, &output::rows(&view::nodes(&facts, of.node.as_deref()), form.output)?)?;
            Ok(FINE)
        }
        Command::Nics { of, all, form } => {
            let facts = source.facts(Wanted::Objects, |node| of.asks(node)).await?;
            must_be_there(&facts, of.node.as_deref())?;
            for node in facts.nodes.iter().filter(|node| !node.agent_error.is_empty()) {
                output::note(&format!(
                    "{}: as published, its agent does not answer: {}",
                    node.name, node.agent_error
                ));
            }
            say(out, &output::rows(&view::nics(&facts, of.node.as_deref(), *all), form.output)?)?;
            Ok(FINE)
        }
        Command::Networks { name, form } => {
            let facts = source.facts(Wanted::Objects, |_| false).await?;
            let rows = view::networks(&facts, name.as_deref());
            if let (Some(name), true) = (name, rows.is_empty()) {
                bail!("there is no network {name}");
            }
            say(out, &output::rows(&rows, form.output)?)?;
            Ok(FINE)
        }
        Command::Routes { node, network, form } => {
            let facts = source.facts(Wanted::Objects, |_| false).await?;
            must_be_there(&facts, node.as_deref())?;
            if facts.local {
                bail!("routes between hosts are those of a cluster: leave out --local");
            }
            say(
                out,
                &output::rows(&view::routes(&facts, node.as_deref(), network.as_deref()), form.output)?,
            )?;
            Ok(FINE)
        }
        Command::Why { pod, form } => why_pod(cli, &source, pod, form.output, out).await,
        Command::Explain(explain) => explain_choice(cli, source, explain, out).await,
        Command::Doctor { node, no_agents, problems, form } => {
            let asked = |one: &NodeFacts| !no_agents && node.as_ref().is_none_or(|name| one.name == *name);
            let facts = source.facts(Wanted::Pods, asked).await?;
            must_be_there(&facts, node.as_deref())?;
            let mut findings = doctor::examine(&facts);
            let worst = findings.iter().map(|finding| finding.verdict).max();
            if *problems {
                findings.retain(|finding| finding.verdict >= Verdict::Warning);
            }
            match form.output {
                Format::Table => findings.iter().try_for_each(|finding| say(out, &finding.text()))?,
                other => say(out, &output::rows(&findings, other)?)?,
            }
            Ok(if worst == Some(Verdict::Problem) { PROBLEM } else { FINE })
        }
        Command::SupportBundle { output, node } => support_bundle(&source, output, node, out).await,
    }
}

impl OfNodes {
    fn asks(&self, node: &NodeFacts) -> bool {
        self.ask || self.node.as_ref().is_some_and(|name| node.name == *name)
    }
}

fn namespace(cli: &Cli, source: &Source) -> String {
    let of_context = match source {
        Source::Cluster(cluster) => cluster.namespace.clone(),
        _ => "default".to_owned(),
    };
    cli.namespace.clone().unwrap_or(of_context)
}

async fn why_pod(
    cli: &Cli,
    source: &Source,
    name: &str,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let namespace = namespace(cli, source);
    let mut facts = source.facts(Wanted::Pods, |_| false).await?;
    if facts.local {
        bail!("pods are those of a cluster: leave out --local, or see `curl --unix-socket` /v1/attachments");
    }
    let mut runs = Vec::new();
    let there = facts.pods.iter().find(|pod| pod.name == name && pod.namespace == namespace).cloned();
    let pod = match (there, source) {
        (Some(pod), _) => pod,
        (None, Source::Cluster(cluster)) => {
            let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
            let found = pods.get_opt(name).await.map_err(|error| anyhow!("{}", crate::way::words(&error)))?;
            let found =
                found.ok_or_else(|| anyhow!("there is no pod {name} in namespace {namespace} (-n)"))?;
            gather::pod(found)
        }
        (None, _) => bail!("there is no pod {name} of namespace {namespace} in it (-n)"),
    };
    if let Source::Cluster(cluster) = source {
        gather::ask_agents(cluster, &mut facts, |node| node.name == pod.node).await;
        if let Some(node) = facts.node(&pod.node).filter(|node| node.agent.is_some()) {
            let way = gather::way_to(cluster, node)?;
            let asked =
                annotation::asked(pod.asked.as_deref().unwrap_or_default(), &namespace).unwrap_or_default();
            for one in asked.iter().filter(|one| facts.network(&one.network).is_some()) {
                let request = as_asked(&one.network, &one.arguments);
                let answer = select(&way, &request).await.map_err(|error| format!("{error:#}"));
                runs.push(DryRun { network: one.network.clone(), answer });
            }
        }
    }
    let story = why::story(&facts, &pod, &runs);
    let text = match format {
        Format::Json | Format::Yaml => output::document(&story, format)?,
        Format::Table | Format::Wide => story.text(),
    };
    say(out, &text)?;
    Ok(if story.cause.is_some() { PROBLEM } else { FINE })
}

/// A request with the `cni-args` of an annotation.
fn as_asked(network: &str, arguments: &serde_json::Value) -> SelectRequest {
    let text = |key: &str| arguments[key].as_str().map(str::to_owned);
    let masters = arguments["masters"].as_array().into_iter().flatten();
    let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    SelectRequest {
        network: Some(network.to_owned()),
        nics: number(&arguments["nics"]).and_then(|nics| nics.try_into().ok()),
        masters: masters.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        class: text("class"),
        target: text("target"),
        ..SelectRequest::default()
    }
}

async fn select(way: &Way, request: &SelectRequest) -> anyhow::Result<SelectAnswer> {
    way.ask("POST", "/v1/select", Some(serde_json::to_string(request)?)).await
}

async fn explain_choice(
    cli: &Cli,
    source: Source,
    wanted: &Explain,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut request = SelectRequest { network: wanted.network.clone(), ..SelectRequest::default() };
    let mut node = wanted.node.clone();
    if let Some(name) = &wanted.pod {
        let Source::Cluster(cluster) = &source else { bail!("--pod names a pod of a cluster") };
        let namespace = namespace(cli, &source);
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
        let found = pods.get_opt(name).await.map_err(|error| anyhow!("{}", crate::way::words(&error)))?;
        let pod = gather::pod(
            found.ok_or_else(|| anyhow!("there is no pod {name} in namespace {namespace} (-n)"))?,
        );
        let asked = annotation::asked(pod.asked.as_deref().unwrap_or_default(), &namespace);
        let asked = asked.map_err(|error| anyhow!("the pod's annotation cannot be read: {error}"))?;
        let one =
            asked.iter().find(|one| wanted.network.as_ref().is_none_or(|network| one.network == *network));
        let one = one.ok_or_else(|| anyhow!("pod {name} does not ask for that network"))?;
        request = as_asked(&one.network, &one.arguments);
        node = node.or(Some(pod.node).filter(|node| !node.is_empty()));
    }
    let way = source.way(node.as_deref()).await?;
    request.nics = wanted.nics.or(request.nics);
    request.class = wanted.class.clone().or(request.class);
    request.target = wanted.target.clone().or(request.target);
    request.gpus.clone_from(&wanted.gpus);
    if !wanted.masters.is_empty() {
        request.masters.clone_from(&wanted.masters);
    }
    if let Some(kind) = &wanted.plugin {
        request.plugin = Some(SelectPlugin { kind: kind.clone(), ..SelectPlugin::default() });
    }
    let answer = select(&way, &request).await?;
    say(out, &explain::shown(&answer, wanted.form.output)?)?;
    Ok(if answer.refused.is_some() { PROBLEM } else { FINE })
}

async fn support_bundle(
    source: &Source,
    file: &Path,
    only: &[String],
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let asked = |node: &NodeFacts| only.is_empty() || only.contains(&node.name);
    let facts = source.facts(Wanted::Pods, asked).await?;
    only.iter().try_for_each(|name| must_be_there(&facts, Some(name)))?;
    let mut nodes = Vec::new();
    for node in facts.nodes.iter().filter(|node| asked(node)) {
        let (snapshot, log) = match source {
            Source::Recorded(_) => bail!("a bundle is made of what runs: leave out --facts"),
            Source::Local(way, _) => {
                let why = "journalctl -u multi-nicd has it, if systemd started the agent";
                (way.snapshot().await, Err(anyhow!(why)))
            }
            Source::Cluster(cluster) => match gather::way_to(cluster, node) {
                Ok(way) => (way.snapshot().await, log_of(cluster, node).await),
                Err(error) => (Err(error), Err(anyhow!("there is no pod of the agent"))),
            },
        };
        let (snapshot, log) =
            (snapshot.map_err(|error| format!("{error:#}")), log.map_err(|error| format!("{error:#}")));
        nodes.push(OfNode { node: node.name.clone(), snapshot, log });
    }
    let packed = bundle::packed(&facts, &nodes)?;
    std::fs::write(file, &packed).with_context(|| format!("write {}", file.display()))?;
    let missing: Vec<&OfNode> = nodes.iter().filter(|node| node.snapshot.is_err()).collect();
    for node in &missing {
        let why = node.snapshot.as_ref().err().map(String::as_str).unwrap_or_default();
        output::note(&format!("{}: no recording of the machine: {why}", node.node));
    }
    say(out, &format!("{}: {} nodes, {} bytes\n", file.display(), nodes.len(), packed.len()))?;
    Ok(if missing.len() == nodes.len() && !nodes.is_empty() { COULD_NOT_ASK } else { FINE })
}

/// The end of the log of a node's agent.
async fn log_of(cluster: &Cluster, node: &NodeFacts) -> anyhow::Result<String> {
    let program = node.program.as_ref().context("there is no pod of the agent")?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &program.namespace);
    let wanted = LogParams {
        container: Some(program.container.clone()),
        tail_lines: Some(LOG_LINES),
        ..LogParams::default()
    };
    pods.logs(&program.name, &wanted).await.map_err(|error| anyhow!("{}", crate::way::words(&error)))
}
