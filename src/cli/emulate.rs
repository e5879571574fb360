use super::Outcome;
pub(crate) async fn run(_: super::args::EmulateArgs) -> Outcome {
    Err(super::Failure::new("x"))
}
