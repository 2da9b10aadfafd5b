"""The verbs of `slipway`: finds the module of the one that is asked for, and runs it."""

from __future__ import annotations

import importlib
import signal
from typing import Any

import click

# verb -> module:command. The modules are imported one at a time: `slipway smoke --help` must
# not wait for scikit-learn.
VERBS = {
    "serve": "slipway.cli.serve:serve",
    "fetch": "slipway.cli.fetch:fetch",
    "score": "slipway.cli.score:score",
    "backfill": "slipway.cli.backfill:backfill",
    "consume": "slipway.cli.consume:consume",
    "lambda": "slipway.cli.lambda_function:lambda_function",
    "stream": "slipway.cli.stream:stream",
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
    "local": "slipway.cli.local:local",
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


# What a shell tells of a program that Ctrl-C has ended.
INTERRUPTED = 128 + signal.SIGINT


class LazyVerbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All verbs, in the table's order."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None for an unknown one."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        # Before any other module imports structlog: logs.py does so sparingly.
        importlib.import_module("slipway.logs")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs by the table above, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, SUMMARIES[verb]) for verb in VERBS])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; Ctrl-C ends it without a word, where click would say "Aborted!"."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=LazyVerbs, context_settings={"show_default": True})
@click.version_option(package_name="slipway", message="%(version)s", help="Show it.")
def app() -> None:
    """Serve MLflow models and move traffic between versions by measured evidence."""
