//! Settings: the default `agent.yaml`, as the agent prints it.

use anyhow::{Result, bail};

use crate::program;
use crate::workspace::Workspace;

const HEAD: &str = "# Settings

## Of the agent: agent.yaml

`agent.yaml` in the folder of `--config` (`/etc/multi-nic`); in a cluster the ConfigMap `multi-nicd` beside the DaemonSet, with the chart
`agent.config`. Arguments count before it ([commands.md](commands.md#multi-nicd)). A key that nobody knows is an error that names the nearest one.
This is the default, as `multi-nicd --print-default` prints it:

";

const TAIL: &str = "
## Of the operator

[Its arguments](commands.md#multi-nic-operator), and of the object `multi-nicd` of kind Config
([every field](resources.md#config)) these; the others are stored for tools that read them:

| field | what |
|---|---|
| `cniType`, `daemon.port` | stand in attachment definitions |
| `urgentReconcileSeconds`, `normalReconcileMinutes` | how soon it tries again |

Agents come from `deploy/`, not from a Config.

## Of the chart

[deploy/helm/multi-nic/values.yaml](../../deploy/helm/multi-nic/values.yaml) explains each value.
";

/// Asks the agent, which the page of commands has built.
pub(super) fn page(workspace: &Workspace) -> Result<String> {
    let mut agent = workspace.command(workspace.target.join("debug/multi-nicd"));
    let default = String::from_utf8(program::stdout(agent.arg("--print-default"))?)?;
    if default.trim().is_empty() {
        bail!("the agent prints no default agent.yaml");
    }
    Ok(format!("{HEAD}```yaml\n{}\n```\n{TAIL}", default.trim_end()))
}
