//! Request fields against those of a service: every field there or refused, none too many unless allowed, each of its
//! type. Null is a value.

use freshet_config::value::Value;
use freshet_operators::lookup::ServicePlan;

use super::keys::{field, typed};
use super::scalar::{ContextMap, ContextValue};
use crate::error::{ApiError, quote, suggestion};

/// Appends one value per request field of the service to `values`. `pointer` leads to the map; `ignore_extra` lets fields
/// pass that the service does not have.
pub fn read_context(
    service: &ServicePlan,
    context: Option<&ContextMap<'_>>,
    ignore_extra: bool,
    pointer: impl Fn() -> String + Copy,
    values: &mut Vec<Value>,
) -> Result<(), ApiError> {
    let given = context.map_or(&[][..], |context| &context.0);
    if !ignore_extra {
        let extra = given.iter().find(|(name, _)| service.request.iter().all(|field| field.name != name.as_str()));
        if let Some((name, _)) = extra {
            return Err(too_many(service, name.as_str()).at(field(pointer, &quote(name.as_str()))));
        }
    }
    for column in &service.request {
        let refuse = |message: String| ApiError::invalid(message).at(field(pointer, &column.name));
        let value = match given.iter().find(|(name, _)| name.as_str() == column.name) {
            Some((_, ContextValue::Scalar(given))) => typed("request field", column, given).map_err(refuse)?,
            Some((_, ContextValue::Array | ContextValue::Object)) => {
                let message =
                    format!("request field `{}` is one {}, no array or object", column.name, column.data_type);
                return Err(refuse(message));
            }
            None => {
                return Err(refuse(format!(
                    "service `{}` needs request field `{}` of requestContextMap; send it as {}, or as null when it is \
                     not known",
                    service.name, column.name, column.data_type
                )));
            }
        };
        values.push(value);
    }
    Ok(())
}

fn too_many(service: &ServicePlan, name: &str) -> ApiError {
    let hint = match service.request.is_empty() {
        true => String::new(),
        false => format!("; {}", suggestion(name, service.request.iter().map(|field| field.name.as_str()))),
    };
    ApiError::invalid(format!(
        "service `{}` has no request field `{}`{hint}; leave it out or set ignoreExtraRequestContextFields",
        service.name,
        quote(name)
    ))
}
