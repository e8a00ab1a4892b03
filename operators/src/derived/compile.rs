//! Derived features compiled: realtime views once for all services, then each service with its own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use freshet_config::definitions::{Definitions, Derived, Realtime, RequestField, Service, ServiceFeature};
use freshet_config::diagnostic::{Diagnostic, Diagnostics};
use freshet_config::resolve::{MAX_FEATURES, MAX_REQUEST_FIELDS, Unchecked};

use super::circles::walk;
use super::names::{Known, Named, Scope};
use super::{DerivedStep, Input};
use crate::lookup::{ServedValue, ServicePlan};
use crate::sql::{Expression, SqlErrorKind, references};
use crate::view::ViewPlan;

/// Compiles every service, realtime views included; `plans` holds one plan per view of the definitions, or `None` where
/// its errors are recorded already. With errors the plans are not whole.
pub fn compile_services(
    definitions: &Definitions,
    plans: &[Option<Arc<ViewPlan>>],
    errors: &mut Diagnostics,
) -> Vec<ServicePlan> {
    let known = Known::of(definitions, plans);
    let realtime = RealtimeNodes::compile(&known, errors);
    let mut compiled = Vec::new();
    for service in &definitions.services {
        let nodes = ServiceNodes::compile(&known, &realtime, service, errors);
        compiled.extend(nodes.assemble(definitions, plans, errors));
    }
    compiled
}

/// The derived features of definitions that are refused for something else: their errors belong to the same answer, in
/// the same words, as far as what they name is known.
pub fn check_services(unchecked: &Unchecked, errors: &mut Diagnostics) {
    let known = Known::of_refused(unchecked);
    let realtime = RealtimeNodes::compile(&known, errors);
    for service in &unchecked.services {
        ServiceNodes::compile(&known, &realtime, service, errors);
    }
}

/// A derived feature with the meaning of its names.
struct Node<'a> {
    /// As it is served.
    name: String,
    derived: &'a Derived,
    /// Per column of the schema.
    named: Vec<Named>,
    /// Other nodes it refers to; a service's own ones are numbered after those of all realtime views.
    refers: Vec<usize>,
    /// `None` when an error is recorded.
    compiled: Option<(SchemaRef, Expression)>,
}

impl<'a> Node<'a> {
    fn compile(
        name: String,
        what: &str,
        derived: &'a Derived,
        scope: &Scope<'_>,
        number: impl Fn(&Named) -> Option<usize>,
        errors: &mut Diagnostics,
    ) -> Node<'a> {
        let mut node = Node { name, derived, named: Vec::new(), refers: Vec::new(), compiled: None };
        let found = match references(&derived.sql.text) {
            Ok(found) => found,
            Err(error) => {
                errors.push(error.diagnostic(&derived.sql, what));
                return node;
            }
        };
        let mut fields = Vec::new();
        for reference in &found {
            match scope.meaning(reference, &derived.sql, what) {
                Ok((named, data_type)) => {
                    node.refers.extend(number(&named));
                    node.named.push(named);
                    fields.extend(data_type.map(|data_type| Field::new(&reference.name, data_type, true)));
                }
                Err(error) => errors.push(error),
            }
        }
        if fields.len() < found.len() {
            return node;
        }
        let schema = Arc::new(Schema::new(fields));
        match Expression::compile_qualified(&derived.sql.text, &schema, derived.data_type) {
            Ok(expression) => node.compiled = Some((schema, expression)),
            Err(error) => {
                for mut error in error.each() {
                    if error.kind == SqlErrorKind::NonDeterministic {
                        error.hint = Some(format!("use `{}`, the instant asked for", super::INSTANT));
                    }
                    errors.push(error.diagnostic(&derived.sql, what));
                }
            }
        }
        node
    }
}

/// All features of all realtime views.
struct RealtimeNodes<'a> {
    views: &'a [Realtime],
    nodes: Vec<Node<'a>>,
    /// Per realtime view, its first node.
    first: Vec<usize>,
    /// Per node, its realtime view.
    owner: Vec<usize>,
}

impl<'a> RealtimeNodes<'a> {
    fn compile(known: &Known<'a>, errors: &mut Diagnostics) -> RealtimeNodes<'a> {
        let views = known.realtime;
        let mut all = RealtimeNodes { views, nodes: Vec::new(), first: Vec::new(), owner: Vec::new() };
        for (index, realtime) in views.iter().enumerate() {
            all.first.push(all.owner.len());
            all.owner.extend(realtime.features.iter().map(|_| index));
        }
        for realtime in views {
            let scope = Scope { known, request: realtime.request.iter().collect(), own: None };
            for derived in &realtime.features {
                let name = format!("{}.{}", realtime.name, derived.name);
                let what = format!("feature `{}` of realtime view `{}`", derived.name, realtime.name);
                let node = Node::compile(name, &what, derived, &scope, |named| all.number(named), errors);
                all.nodes.push(node);
            }
        }
        let walked = walk(0..all.nodes.len(), all.nodes.len(), |node| &all.nodes[node].refers);
        for circle in &walked.circles {
            let nodes: Vec<&Node> = circle.iter().map(|node| &all.nodes[*node]).collect();
            errors.push(refuse_circle(&nodes));
        }
        all
    }

    fn number(&self, named: &Named) -> Option<usize> {
        match named {
            Named::Realtime { realtime, feature } => Some(self.first.get(*realtime)? + feature),
            _ => None,
        }
    }
}

fn refuse_circle(nodes: &[&Node]) -> Diagnostic {
    let way: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let place = nodes.first().map(|node| node.derived.sql.place.clone()).unwrap_or_default();
    let message = format!("features refer to each other in a circle: {}", way.join(" -> "));
    Diagnostic::new(&place, "DEF-CYCLE", message).hint("take one of the references out")
}

/// A service with what it derives.
struct ServiceNodes<'a, 'r> {
    service: &'a Service,
    realtime: &'r RealtimeNodes<'a>,
    own: Vec<Node<'a>>,
    /// Nodes of its served features and those they need, each after what it needs. `None` when there is a circle.
    order: Option<Vec<usize>>,
}

impl<'a, 'r> ServiceNodes<'a, 'r> {
    fn compile(
        known: &Known<'_>,
        realtime: &'r RealtimeNodes<'a>,
        service: &'a Service,
        errors: &mut Diagnostics,
    ) -> ServiceNodes<'a, 'r> {
        let mut nodes = ServiceNodes { service, realtime, own: Vec::new(), order: None };
        let listed = nodes.listed().flat_map(|node| &realtime.views[realtime.owner[node]].request);
        // Of equal names the service's own comes first; other types under one name are refused below.
        let request = service.request.iter().chain(listed).collect();
        let scope = Scope { known, request, own: Some(&service.derived) };
        let count = realtime.nodes.len();
        let number = |named: &Named| match named {
            Named::Own(index) => Some(count + index),
            other => realtime.number(other),
        };
        let mut own = Vec::new();
        for derived in &service.derived {
            let name = format!("derived.{}", derived.name);
            let what = format!("derived feature `{}` of service `{}`", derived.name, service.name);
            own.push(Node::compile(name, &what, derived, &scope, number, errors));
        }
        nodes.own = own;
        let roots: Vec<usize> = nodes.listed().chain(count..count + nodes.own.len()).collect();
        let walked = walk(roots, count + nodes.own.len(), |node| &nodes.node(node).refers);
        // Circles among realtime views are recorded; a realtime view cannot lead back into a service.
        for circle in walked.circles.iter().filter(|circle| circle[0] >= count) {
            let path: Vec<&Node> = circle.iter().map(|node| nodes.node(*node)).collect();
            errors.push(refuse_circle(&path));
        }
        if walked.order.len() > MAX_FEATURES {
            let message = format!(
                "service `{}` derives {} features, those it only needs included, more than the {MAX_FEATURES} allowed",
                service.name,
                walked.order.len()
            );
            errors.push(Diagnostic::new(&service.place, "DEF-SIZE", message).hint("split it into several services"));
        }
        nodes.order = walked.circles.is_empty().then_some(walked.order);
        nodes
    }

    fn node(&self, number: usize) -> &Node<'a> {
        let count = self.realtime.nodes.len();
        if number < count { &self.realtime.nodes[number] } else { &self.own[number - count] }
    }

    /// Nodes of the realtime features that the service lists.
    fn listed(&self) -> impl Iterator<Item = usize> + use<'a, 'r> {
        let realtime = self.realtime;
        self.service.features.iter().filter_map(move |feature| match feature {
            ServiceFeature::Realtime { realtime: view, feature } => Some(realtime.first.get(*view)? + feature),
            ServiceFeature::View { .. } => None,
        })
    }

    /// `None` when an error is recorded.
    fn assemble(
        &self,
        definitions: &Definitions,
        plans: &[Option<Arc<ViewPlan>>],
        errors: &mut Diagnostics,
    ) -> Option<ServicePlan> {
        let order = self.order.as_ref()?;
        let mut plan = ServicePlan::new(definitions, self.service);
        for field in self.request(order, errors) {
            plan.add_request_field(field);
        }
        let mut steps: HashMap<usize, usize> = HashMap::new();
        let count = self.realtime.nodes.len();
        // Served features first: their views' join keys lead.
        for feature in &self.service.features {
            match *feature {
                ServiceFeature::View { view, feature } => {
                    let place = plan.view_feature(definitions, view, plans.get(view)?.as_ref()?, feature);
                    plan.serve_view(definitions, view, place)?;
                }
                ServiceFeature::Realtime { realtime, feature } => {
                    let step = order.iter().position(|node| *node == self.realtime.first[realtime] + feature)?;
                    let view = &self.realtime.views[realtime];
                    let derived = &view.features[feature];
                    let name = format!("{}.{}", view.name, derived.name);
                    let value = ServedValue::Derived(step);
                    plan.serve(name, value, derived.data_type.into(), view.description.clone(), view.tags.clone());
                }
            }
        }
        for (index, derived) in self.service.derived.iter().enumerate() {
            let step = order.iter().position(|node| *node == count + index)?;
            let name = format!("derived.{}", derived.name);
            plan.serve(name, ServedValue::Derived(step), derived.data_type.into(), None, Vec::new());
        }
        for (step, number) in order.iter().enumerate() {
            steps.insert(*number, step);
            let node = self.node(*number);
            let (schema, expression) = node.compiled.clone()?;
            let mut inputs = Vec::new();
            for named in &node.named {
                inputs.push(match named {
                    Named::Request(name) => Input::Request(plan.request.iter().position(|f| f.name == *name)?),
                    Named::Instant => Input::Instant,
                    Named::Own(index) => Input::Derived(*steps.get(&(count + index))?),
                    Named::Realtime { .. } => Input::Derived(*steps.get(&self.realtime.number(named)?)?),
                    Named::Feature { view, feature } => {
                        let view_plan = plans.get(*view)?.as_ref()?;
                        Input::Feature(plan.input(definitions, *view, view_plan, *feature))
                    }
                    Named::Lost => return None,
                });
            }
            let data_type = node.derived.data_type;
            let (name, sql) = (node.name.clone(), node.derived.sql.text.clone());
            plan.derived.push(DerivedStep { name, data_type, sql, inputs, schema, expression });
        }
        Some(plan)
    }

    /// The service's own fields, then those of every realtime view it needs; each name once.
    fn request(&self, order: &[usize], errors: &mut Diagnostics) -> Vec<&'a RequestField> {
        let mut fields: Vec<&RequestField> = self.service.request.iter().collect();
        let count = self.realtime.nodes.len();
        let mut views: Vec<usize> = Vec::new();
        for node in self.listed().chain(order.iter().copied().filter(|node| *node < count)) {
            let view = self.realtime.owner[node];
            if views.contains(&view) {
                continue;
            }
            views.push(view);
            let realtime = &self.realtime.views[view];
            for field in &realtime.request {
                match fields.iter().find(|known| known.name == field.name) {
                    None => fields.push(field),
                    Some(known) if known.data_type == field.data_type => {}
                    Some(known) => {
                        let message = format!(
                            "request field `{}` of service `{}` is {}, but {} in realtime view `{}`, which it uses",
                            field.name, self.service.name, known.data_type, field.data_type, realtime.name
                        );
                        let own = self.service.request.iter().find(|own| own.name == field.name);
                        let place = own.map_or(&self.service.place, |own| &own.place);
                        let hint = "declare both with one type, or rename one";
                        errors.push(Diagnostic::new(place, "DEF-TYPE", message).hint(hint));
                    }
                }
            }
        }
        if fields.len() > MAX_REQUEST_FIELDS {
            let message = format!(
                "service `{}` has {} request fields, those of its realtime views included, more than the \
                 {MAX_REQUEST_FIELDS} allowed",
                self.service.name,
                fields.len()
            );
            errors
                .push(Diagnostic::new(&self.service.place, "DEF-SIZE", message).hint("split it into several services"));
        }
        fields
    }
}
