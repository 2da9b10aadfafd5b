"""Slipway beside what a user would take instead: the same model, machine and driver.

models      what every system serves: two models, rides, the native pipeline's answers
locks/      what each environment holds; environments makes them
programs/   the peers' own applications; they run in those environments
systems     how each system is started, asked and read
usage       CPU and memory of a system's processes
driver      wrk, and what it says
rounds      runs in turns, so that what the machine does meanwhile falls on all alike
verdict     ratios, and the goals that they are judged by
page        the table and the plot of docs/bench.md
"""
