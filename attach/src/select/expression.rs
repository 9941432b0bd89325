//! A CEL expression over what is known of a NIC.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cel::{Context, Program, Value};
use hwprobe::Nic;
use serde::{Deserialize, Serialize};

/// Most bytes of an expression.
pub const MOST_EXPRESSION: usize = 512;

/// Most loops (`all`, `exists`, `map` and so on): one in the other they multiply what there is of a NIC.
const MOST_LOOPS: usize = 2;

/// Stack of the threads that read and try expressions, bytes; only what is used becomes memory. The library takes many
/// frames for each level of an expression, and its levels are the writer's.
const STACK: usize = 64 << 20;

/// An expression of the Common Expression Language that says whether a NIC is in a class. The one variable is `nic`, with
/// the members that `GET /v1/nics` shows: `nic.driver.name == "mlx5_core" && nic.numaNode == 0`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Expression {
    text: String,
    program: Result<Arc<Program>, String>,
    /// Members of `nic` that it can ask for; empty: any.
    members: Vec<String>,
}

/// An expression that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no CEL expression over `nic`: {why}")]
pub struct ExpressionError {
    /// The expression.
    pub text: String,
    /// What the parser says.
    pub why: String,
}

impl Expression {
    /// Whether the expression is true for the NIC; as [`Self::of_each`].
    ///
    /// # Errors
    /// As there.
    pub fn fits(&self, nic: &Nic) -> Result<bool, String> {
        self.of_each(&[nic]).pop().unwrap_or_else(|| Err("it was not tried".to_owned()))
    }

    /// Whether the expression is true for each of the NICs. An error, in words, where it cannot be told: a member that
    /// this NIC does not have, or no truth value. `has(nic.numaNode)` asks beforehand.
    pub fn of_each(&self, nics: &[&Nic]) -> Vec<Result<bool, String>> {
        let tried = match &self.program {
            Ok(program) => deep(|| {
                // Its functions are entered once for all.
                let root = Context::default();
                nics.iter().map(|nic| self.try_on(program, &root, nic)).collect()
            }),
            Err(why) => Err(why.clone()),
        };
        tried.unwrap_or_else(|error| nics.iter().map(|_| Err(error.clone())).collect())
    }

    fn try_on(&self, program: &Program, root: &Context<'_>, nic: &Nic) -> Result<bool, String> {
        let mut context = root.new_inner_scope();
        let mut facts = serde_json::to_value(nic).map_err(|error| error.to_string())?;
        if let Some(facts) = facts.as_object_mut().filter(|_| !self.members.is_empty()) {
            // A NIC has very much to tell, and most of it nobody asks for.
            facts.retain(|name, _| self.members.contains(name));
        }
        context.add_variable_from_value("nic", value(facts));
        match program.execute(&context) {
            Ok(Value::Bool(fits)) => Ok(fits),
            Ok(other) => Err(format!("the expression comes to a {}, not to true or false", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// An expression that may be none: then it cannot be told of any NIC, with the reason. For what the cluster has taken
    /// in as a text.
    pub fn or_broken(text: &str) -> Self {
        text.parse().unwrap_or_else(|error: ExpressionError| Self {
            text: text.to_owned(),
            program: Err(error.to_string()),
            members: Vec::new(),
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// As CEL has it. Every whole number is an `int`, as a literal is: `uint` and `int` are never equal.
fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Array(items) => Value::List(Arc::new(items.into_iter().map(value).collect())),
        Json::Object(members) => Value::from(
            members.into_iter().map(|(key, member)| (key, value(member))).collect::<HashMap<_, _>>(),
        ),
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| ExpressionError { text: text.to_owned(), why };
        if text.len() > MOST_EXPRESSION {
            return Err(wrong(format!("it is longer than {MOST_EXPRESSION} bytes")));
        }
        let bare: String = text.split_whitespace().collect();
        let loops: usize = LOOPS.iter().map(|name| bare.matches(name).count()).sum();
        if loops > MOST_LOOPS {
            return Err(wrong(format!("it has more than {MOST_LOOPS} loops over lists")));
        }
        let program = deep(|| Program::compile(text).map_err(|error| error.to_string()));
        let program = program.and_then(|program| program).map_err(&wrong)?;
        // A macro's own variable stands first in its bracket: `nic.gpus.exists(gpu, …)`.
        let own = |name: &str| name.starts_with('@') || bare.contains(&format!("({name},"));
        let references = program.references();
        if let Some(name) = references.variables().into_iter().find(|name| *name != "nic" && !own(name)) {
            return Err(wrong(format!("there is no variable `{name}`, only `nic`")));
        }
        drop(references);
        Ok(Self { text: text.to_owned(), program: Ok(Arc::new(program)), members: members(&bare) })
    }
}

/// The members of `nic` that an expression without blanks names; none when it asks for the NIC as a whole.
fn members(bare: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in bare.match_indices("nic") {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let (before, after) = (bare.get(..at).unwrap_or_default(), bare.get(at + 3..).unwrap_or_default());
        if before.as_bytes().last().is_some_and(|byte| word(byte) || *byte == b'.')
            || after.as_bytes().first().is_some_and(word)
        {
            continue;
        }
        let Some(after) = after.strip_prefix('.') else { return Vec::new() };
        let length = after.bytes().take_while(|byte| word(byte)).count();
        found.push(after.get(..length).unwrap_or_default().to_owned());
    }
    found
}

/// The macros of CEL that go through a list.
const LOOPS: [&str; 5] = [".all(", ".exists(", ".exists_one(", ".map(", ".filter("];

/// Does something on a stack that is deep enough for the longest expression.
fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "the library for expressions gave up".to_owned())
    })
}

impl TryFrom<String> for Expression {
    type Error = ExpressionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use hwprobe::{NicId, NicKind, SpeedMbps};

    use super::*;

    fn expression(text: &str) -> Expression {
        text.parse().unwrap()
    }

    #[test]
    fn an_expression_asks_for_what_the_api_shows_of_a_nic() {
        let mut nic = Nic::new(NicId::new("0000:3b:00.0"), NicKind::Physical);
        nic.name = Some("eth1".to_owned());
        nic.numa_node = Some(1);
        nic.speed.mbps = SpeedMbps::new(200_000);
        for (text, fits) in [
            ("nic.speed.mbps >= 100000 && nic.numaNode == 1", Ok(true)),
            ("nic.speed.mbps / 2 > 100000", Ok(false)),
            ("nic.name.startsWith('eth') && nic.kind == 'physical'", Ok(true)),
            ("has(nic.rdma) && size(nic.rdma) > 0", Ok(false)),
            ("has(nic.gpus) && nic.gpus.exists(gpu, gpu.relation == 'sameSwitch')", Ok(false)),
        ] {
            assert_eq!(expression(text).fits(&nic), fits, "{text}");
        }
        assert!(expression("nic.nonsense == 1").fits(&nic).unwrap_err().contains("nonsense"));
        assert!(expression("nic.numaNode").fits(&nic).unwrap_err().contains("not to true or false"));
    }

    #[test]
    fn only_what_an_expression_names_is_shown_to_it() {
        for (text, named) in [
            ("nic.speed.mbps > 1 && has(nic.gpus)", &["speed", "gpus"][..]),
            ("unicorn.nic == nic.driver.nic", &["driver"]),
            ("nic . name == 'x'", &["name"]),
            ("size(nic) > 3 && nic.name == ''", &[]),
            ("nic['name'] == 'x'", &[]),
        ] {
            assert_eq!(members(&text.replace(' ', "")), named, "{text}");
        }
        let mut nic = Nic::new(NicId::new("0000:3b:00.0"), NicKind::Physical);
        nic.name = Some("eth1".to_owned());
        assert_eq!(expression("nic['name'] == 'eth1' && size(nic) > 3").fits(&nic), Ok(true));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_parsers_words() {
        for (text, words) in [
            ("nic.speed.mbps >=", "no CEL expression"),
            ("[1].map(a, [1].map(b, [1].map (c, 1))) == []", "more than 2 loops"),
            ("speed > 5", "no variable `speed`"),
            (&"(".repeat(MOST_EXPRESSION), "no CEL expression"),
            (&"true?".repeat(MOST_EXPRESSION / 5), "no CEL expression"),
            (&format!("true{}", " ".repeat(MOST_EXPRESSION)), "longer than 512"),
        ] {
            let error = text.parse::<Expression>().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            let nic = Nic::new(NicId::new("0000:3b:00.0"), NicKind::Physical);
            assert_eq!(Expression::or_broken(text).fits(&nic), Err(error));
        }
    }

    #[test]
    fn the_longest_expressions_end_nothing() {
        let nic = Nic::new(NicId::new("0000:3b:00.0"), NicKind::Physical);
        let nested = |open: &str, close: &str| {
            let times = (MOST_EXPRESSION - 4) / (open.len() + close.len());
            format!("{}true{}", open.repeat(times), close.repeat(times))
        };
        for text in [
            "1+".repeat(MOST_EXPRESSION / 2 - 1) + "1",
            "true&&".repeat(MOST_EXPRESSION / 6 - 1) + "true",
            "1<".repeat(MOST_EXPRESSION / 2 - 1) + "1",
            "nic".to_owned() + &".a".repeat(MOST_EXPRESSION / 2 - 2),
            "!".repeat(MOST_EXPRESSION - 4) + "true",
            "-".repeat(MOST_EXPRESSION - 1) + "1",
            nested("!(", ")"),
            nested("(", ")"),
            nested("[", "]"),
            nested("{'a':", "}"),
            nested("true?", ":true"),
            nested("[1].map(x,", ")"),
        ] {
            assert!(text.len() <= MOST_EXPRESSION, "{text}");
            // What they come to does not matter.
            if let Ok(expression) = text.parse::<Expression>() {
                drop(expression.fits(&nic));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_ends_the_process(text in "([(){}.?:!+&|<>=, -]|\\[|\\]|nic|true|1|'a'|has|size|map|exists){0,120}") {
            let nic = Nic::new(NicId::new("0000:3b:00.0"), NicKind::Physical);
            if let Ok(expression) = text.parse::<Expression>() {
                drop(expression.fits(&nic));
            }
        }
    }
}
