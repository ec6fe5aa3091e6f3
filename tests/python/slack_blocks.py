#!/usr/bin/env python3
"""Holds Slack messages against Slack's own SDK, and against the limits that the SDK does not check.

    python tests/python/slack_blocks.py --messages messages.json
    python tests/python/slack_blocks.py --self-test

The file is a JSON list of message bodies with `text` and `blocks`. Exits with 0 when all are fine,
with 1 and a line for each problem when not. The self-test makes messages that are wrong on purpose
and exits with 1 when one of them passes.
"""

import argparse
import copy
import json
import logging
import re
import sys

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

MOST_BLOCKS = 50
MOST_TEXT = 4_000
# The only control sequences that a message may hold: mentions of configured people and links.
CONTROL = re.compile(r"<(?:@U[A-Z0-9]+|!subteam\^S[A-Z0-9]+|https://[^<>|]+(?:\|[^<>|]+)?)>")
ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


def text_of(value, what, most, problems, kinds=("plain_text", "mrkdwn")):
    """Checks a text object."""
    if not isinstance(value, dict):
        problems.append(f"{what} is not a text object")
        return
    if value.get("type") not in kinds:
        problems.append(f"{what} is {value.get('type')!r}, not {' or '.join(kinds)}")
    length(value.get("text"), what, most, problems)
    if value.get("type") == "mrkdwn":
        escaped(value.get("text"), what, problems)


def length(text, what, most, problems):
    if not isinstance(text, str) or not text.strip():
        problems.append(f"{what} is empty")
    elif len(text) > most:
        problems.append(f"{what} has {len(text)} characters, more than {most}")


def escaped(text, what, problems):
    """Nothing that pages people or plants a link may stand in what came from outside."""
    rest = CONTROL.sub("", text if isinstance(text, str) else "")
    if "<" in rest or ">" in rest:
        problems.append(f"{what} holds an unescaped bracket: {rest[:80]!r}")
    if ENTITY.search(rest):
        problems.append(f"{what} holds an unescaped ampersand or half an entity: {rest[-80:]!r}")


def element(value, what, problems):
    if value.get("type") == "button":
        text_of(value.get("text"), f"{what}: its label", 75, problems, ("plain_text",))
    if "url" in value:
        length(value["url"], f"{what}: its url", 3_000, problems)
        if not re.match(r"https?://", str(value["url"])):
            problems.append(f"{what}: its url is not one of the web")
    if "value" in value:
        length(value["value"], f"{what}: its value", 2_000, problems)
    if "action_id" in value:
        length(value["action_id"], f"{what}: its action_id", 255, problems)


def block(value, what, problems):
    kind = value.get("type")
    what = f"{what} ({kind})"
    if "block_id" in value:
        length(value["block_id"], f"{what}: its block_id", 255, problems)
    if kind == "header":
        text_of(value.get("text"), what, 150, problems, ("plain_text",))
    elif kind == "section":
        if "text" in value:
            text_of(value["text"], what, 3_000, problems)
        fields = value.get("fields", [])
        if "text" not in value and not fields:
            problems.append(f"{what} has neither text nor fields")
        if len(fields) > 10:
            problems.append(f"{what} has {len(fields)} fields, more than 10")
        for number, field in enumerate(fields, 1):
            text_of(field, f"{what}: field {number}", 2_000, problems)
    elif kind == "context":
        elements = value.get("elements", [])
        if not 1 <= len(elements) <= 10:
            problems.append(f"{what} has {len(elements)} elements, not 1 to 10")
        for number, item in enumerate(elements, 1):
            if item.get("type") != "image":
                text_of(item, f"{what}: element {number}", 3_000, problems)
    elif kind == "actions":
        elements = value.get("elements", [])
        if not 1 <= len(elements) <= 25:
            problems.append(f"{what} has {len(elements)} elements, not 1 to 25")
        ids = [item["action_id"] for item in elements if "action_id" in item]
        if len(ids) != len(set(ids)):
            problems.append(f"{what} has an action_id twice")
        for number, item in enumerate(elements, 1):
            element(item, f"{what}: element {number}", problems)
    elif kind != "divider":
        problems.append(f"{what} is of a kind that is not known")


def check(message):
    """What is wrong with a message."""
    problems = []
    if not isinstance(message, dict):
        return ["it is not an object"]
    length(message.get("text"), "text", MOST_TEXT, problems)
    escaped(message.get("text"), "text", problems)
    blocks = message.get("blocks")
    if not isinstance(blocks, list) or not all(isinstance(item, dict) for item in blocks):
        return problems + ["blocks is not a list of objects"]
    if not 1 <= len(blocks) <= MOST_BLOCKS:
        problems.append(f"there are {len(blocks)} blocks, not 1 to {MOST_BLOCKS}")
    ids = [item["block_id"] for item in blocks if "block_id" in item]
    if len(ids) != len(set(ids)):
        problems.append("a block_id stands twice")
    for number, value in enumerate(blocks, 1):
        block(value, f"block {number}", problems)
    # The SDK takes apart what it is given, so it gets a copy.
    try:
        parsed = Block.parse_all(copy.deepcopy(blocks))
        if len(parsed) != len(blocks):
            problems.append(f"slack_sdk reads {len(parsed)} of {len(blocks)} blocks")
        for value, theirs in zip(blocks, parsed):
            # Its validators run here.
            again = theirs.to_dict()
            if again != value:
                problems.append(f"slack_sdk reads {value.get('type')} as {again}")
    except SlackObjectFormationError as error:
        problems.append(f"slack_sdk refuses it: {error}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problems.append(f"slack_sdk cannot read it: {error!r}")
    return problems


# ---- messages that are wrong on purpose -----------------------------------------------------------


def section(text="x", **more):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def wrong():
    """What is wrong, and such a message."""

    def of(*blocks, text="x"):
        return {"text": text, "blocks": list(blocks)}

    def header(text, kind="plain_text"):
        return of({"type": "header", "text": {"type": kind, "text": text}})

    def fields(*texts):
        return of({"type": "section", "fields": [{"type": "mrkdwn", "text": it} for it in texts]})

    def context(*texts):
        return of({"type": "context", "elements": [{"type": "mrkdwn", "text": it} for it in texts]})

    def button(**more):
        label = {"type": "plain_text", "text": "Open"}
        return of({"type": "actions", "elements": [{"type": "button", "text": label, **more}]})

    yield "no text", {"blocks": [section()]}
    yield "empty text", of(section(), text=" ")
    yield "long text", of(section(), text="x" * 4_001)
    yield "a mention in text", of(section(), text="<!channel>")
    yield "no blocks", of()
    yield "51 blocks", of(*[section()] * 51)
    yield "blocks that are no list", {"text": "x", "blocks": "none"}
    yield "an unknown block", of({"type": "sectoin", "text": {"type": "mrkdwn", "text": "x"}})
    yield "a long header", header("x" * 151)
    yield "a header in mrkdwn", header("x", "mrkdwn")
    yield "an empty header", header("")
    yield "a long section", of(section("x" * 3_001))
    yield "an empty section", of(section(""))
    yield "a section of nothing", of({"type": "section"})
    yield "11 fields", fields(*["x"] * 11)
    yield "a long field", fields("x" * 2_001)
    yield "an empty field", fields("")
    yield "11 context elements", context(*["x"] * 11)
    yield "an empty context", context()
    yield "an empty context element", context("")
    yield "equal block ids", of(section(block_id="a"), section(block_id="a"))
    yield "a long block id", of(section(block_id="a" * 256))
    yield "a mention in a section", of(section("for <!here>"))
    yield "a link that hides its target", of(section("<javascript:alert(1)|click>"))
    yield "half an entity", of(section("x &am…"))
    yield "a long label", of(
        {"type": "actions", "elements": [
            {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x" * 76}}]}
    )
    yield "a long url", button(action_id="a", url="https://x.example/" + "x" * 3_000)
    yield "a url of no web page", button(action_id="a", url="javascript:alert(1)")
    yield "a misspelt member", of({**section(), "filds": []})


RIGHT = {
    "text": "🟠 Savings &amp; more",
    "unfurl_links": False,
    "blocks": [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}},
        section("é" * 3_000, block_id="a"),
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2_000}] * 10},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "`&lt;!channel&gt;`"}] * 10},
        {"type": "divider"},
        {"type": "actions", "elements": [{
            "type": "button", "action_id": "open", "url": "https://grafana.example.org/d/x",
            "text": {"type": "plain_text", "text": "Open"}}]},
    ],
}


def self_test():
    failures = [f"a message that is right is refused: {it}" for it in check(RIGHT)]
    count = 0
    for what, message in wrong():
        count += 1
        if not check(message):
            failures.append(f"a message with {what} passes")
    return failures, f"{count} wrong messages are refused"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--messages", help="a JSON list of messages")
    what.add_argument("--self-test", action="store_true", help="refuse what is wrong on purpose")
    arguments = parser.parse_args()
    # The SDK logs what it cannot parse; here it is told as a problem.
    logging.disable(logging.CRITICAL)
    if arguments.self_test:
        problems, verdict = self_test()
    else:
        with open(arguments.messages, encoding="utf-8") as file:
            messages = json.load(file)
        if not isinstance(messages, list) or not messages:
            sys.exit(f"{arguments.messages} holds no list of messages")
        problems = [
            f"message {number}: {problem}"
            for number, message in enumerate(messages, 1)
            for problem in check(message)
        ]
        verdict = f"{len(messages)} messages are fine"
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(verdict)


if __name__ == "__main__":
    main()
