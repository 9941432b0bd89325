//! Refusals: a problem travels in the answer's extensions and is written by the outermost layer, which
//! alone knows the request's path.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use openapi::{Problem, ProblemCode};

/// A refusal on its way out. (Boxed: handlers return it in `Result`s.)
#[derive(Debug, Clone)]
pub(crate) struct Refusal(pub(crate) Box<Problem>);

impl Refusal {
    /// A refusal of this kind with what is wrong with this request.
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code).detail(detail)))
    }

    /// A wrong `value` of `parameter`, and what is allowed there.
    pub(crate) fn value(parameter: &str, value: &str, allowed: Vec<String>) -> Self {
        let near = crate::nearest::nearest(value, allowed.iter().map(String::as_str));
        let nearest = near.into_iter().map(str::to_owned).collect();
        let detail = format!("`{parameter}` cannot be `{}`", shown(value));
        let mut problem = Problem::new(ProblemCode::InvalidValue).detail(detail);
        problem.parameter = Some(parameter.to_owned());
        problem.value = Some(shown(value));
        problem.allowed = allowed;
        problem.nearest = nearest;
        Self(Box::new(problem))
    }

    /// A query parameter that is not among the `known` ones.
    pub(crate) fn parameter<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut problem = Problem::new(ProblemCode::UnknownParameter)
            .detail(format!("no parameter is called `{}`", shown(name)));
        problem.parameter = Some(shown(name));
        problem.nearest =
            crate::nearest::nearest(name, known.clone()).into_iter().map(str::to_owned).collect();
        problem.allowed = known.map(str::to_owned).collect();
        Self(Box::new(problem))
    }
}

/// A text of the client, cut so that an answer never grows with its request.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refusal>;
