use super::Outcome;
pub(crate) async fn run(_: super::args::DemoArgs) -> Outcome {
    Err(super::Failure::new("x"))
}
