"""What the operator and the environment say, read and checked before anything starts.

    settings    the process environment: where things are, which keys open them
    document    strict YAML as a tree with places
    fields      kinds of fields, and their mistakes as sentences
    models      what banksman.yml may say
    rules       its policy section
    checks      whether its parts fit each other
    load        banksman.yml and its playbook files -> one frozen Config
    live        the same while the files change
    people      who a Slack user or a user of this machine is
    agents      which playbook a message asks for
    reference   the reference page, from the models

Playbooks are only carried here; `core.planners` understands them.
"""

from core.config.agents import Channel, Chosen, UnknownAgent, choose
from core.config.load import Config, PlaybookSource, load_config, parse_config
from core.config.people import NotRecognised, doubtful_people, principal_for_cli, principal_for_slack
from core.config.problems import ConfigProblems, Problem
from core.config.settings import EnvironmentProblems, Settings

__all__ = [
    "Channel",
    "Chosen",
    "Config",
    "ConfigProblems",
    "EnvironmentProblems",
    "NotRecognised",
    "PlaybookSource",
    "Problem",
    "Settings",
    "UnknownAgent",
    "choose",
    "doubtful_people",
    "load_config",
    "parse_config",
    "principal_for_cli",
    "principal_for_slack",
]
