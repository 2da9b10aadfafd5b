"""The verbs of `slipway`: finds the module of the one that is asked for, and runs it."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
import typer.core
import typer.main

# verb -> (module, function). The modules are imported one at a time: `slipway smoke --help` must
# not wait for scikit-learn.
VERBS = {
    "serve": "slipway.cli.serve:serve",
    "fetch": "slipway.cli.fetch:fetch",
    "score": "slipway.cli.score:score",
    "backfill": "slipway.cli.backfill:backfill",
    "consume": "slipway.cli.consume:consume",
    "lambda": "slipway.cli.lambda_function:lambda_function",
    "stream": "slipway.cli.stream:app",
    "router": "slipway.cli.router:router",
    "controller": "slipway.cli.controller:controller",
    "status": "slipway.cli.status:status",
    "explain": "slipway.cli.explain:explain",
    "history": "slipway.cli.history:history",
    "set-model": "slipway.cli.set_model:set_model",
    "promote": "slipway.cli.requests:promote",
    "pause": "slipway.cli.requests:pause",
    "resume": "slipway.cli.requests:resume",
    "abort": "slipway.cli.requests:abort",
    "retry": "slipway.cli.requests:retry",
    "rollback": "slipway.cli.requests:rollback",
    "local": "slipway.cli.local:app",
    "simulate": "slipway.cli.simulate:simulate_rollouts",
    "train": "slipway.cli.train:train",
    "smoke": "slipway.cli.smoke:smoke",
}
SUMMARIES = {
    "serve": "Serve a model over HTTP.",
    "fetch": "Resolve a model reference, fetch the artefact, check it; never load it.",
    "score": "Score one month of rides into a Parquet file.",
    "backfill": "Score a range of months: on the cluster, or in processes here.",
    "consume": "Consume a stream of rides: score them, put prediction events.",
    "lambda": "Run the stream's handler under AWS Lambda, or answer as Lambda does here.",
    "stream": "Send rides to a stream, read events from one, see how far consumers are.",
    "router": "Route requests to the slots by the routing table.",
    "controller": "Follow the desired model: fill slots, move traffic, say why.",
    "status": "Show the rollout: what serves, what is tried, why it does not move.",
    "explain": "Say in whole sentences why the rollout is where it is, and what can be done.",
    "history": "Show every decision, by machine or person, with its figures.",
    "set-model": "Name the model that is wanted from now on.",
    "promote": "Go on one step with the candidate.",
    "pause": "Hold the rollout where it is.",
    "resume": "Let a paused rollout go on.",
    "abort": "Take all traffic from the candidate, and refuse it.",
    "retry": "Try the wanted model again, also where it was refused.",
    "rollback": "Give all traffic back to the version before.",
    "local": "Run a whole installation as processes on this machine.",
    "simulate": "Simulate rollouts: what a policy needs and how often it is wrong.",
    "train": "Train and register the example ride models.",
    "smoke": "Send a few requests to a running service and check the answers.",
}


class LazyVerbs(typer.core.TyperGroup):
    """A group whose commands are imported when they are asked for.

    typer brings a click of its own, so the contexts are its types and stay unnamed here.
    """

    def list_commands(self, _ctx: Any) -> list[str]:
        """All verbs, in the table's order."""
        return list(VERBS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """The verb's command, or None for an unknown one."""
        if cmd_name not in VERBS:
            return None
        module, _, function = VERBS[cmd_name].partition(":")
        # Before any other module imports structlog: logs.py does so sparingly.
        importlib.import_module("slipway.logs")
        found = getattr(importlib.import_module(module), function)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        verb = typer.Typer(add_completion=False, rich_markup_mode=None)
        verb.command(name=cmd_name)(found)
        return typer.main.get_command(verb)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """List the verbs by the table above, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, SUMMARIES[verb]) for verb in VERBS])


app = typer.Typer(
    cls=LazyVerbs,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Serve MLflow models and move traffic between versions by measured evidence.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("slipway"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass
