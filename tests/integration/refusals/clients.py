# SPDX-License-Identifier: MIT
"""Real clients of Python against refusals_server: a line of JSON for each that says what it saw.

Usage: clients.py ADDRESS
"""
import json
import sys
import threading

import httpx
import httpx_sse
import openai

ADDRESS = sys.argv[1]
KINDS = ("later", "later-503", "never-401")


def say(**seen):
    sys.stdout.write(json.dumps(seen) + "\n")  # in one piece: print() of two threads may mix their lines


def read_by_httpx_sse(kind):
    """A program that reads every event's data as JSON, as most do."""
    seen = {"client": "httpx-sse", "kind": kind, "events": []}
    url = f"{ADDRESS}/httpx-sse/{kind}"
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        seen["status"] = source.response.status_code
        try:
            for event in source.iter_sse():
                seen["events"].append([event.event, json.loads(event.data)])
            seen["end"] = "no error"
        except (httpx_sse.SSEError, json.JSONDecodeError) as error:
            seen["end"] = type(error).__name__
    say(**seen)


def ask_by_openai(kind):
    seen = {"client": "openai", "kind": kind}
    client = openai.OpenAI(api_key="x", base_url=f"{ADDRESS}/openai/{kind}/v1", max_retries=2)
    try:
        asked = [{"role": "user", "content": "?"}]
        answer = client.chat.completions.create(model="m", messages=asked, stream=True)
        seen["text"] = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        seen["end"] = "no error"
    except openai.APIStatusError as error:
        seen["status"] = error.status_code
        seen["end"] = type(error).__name__
    except json.JSONDecodeError as error:
        seen["end"] = type(error).__name__
    say(**seen)


threads = [threading.Thread(target=ask, args=(kind,))
           for ask in (read_by_httpx_sse, ask_by_openai) for kind in KINDS]
threads.append(threading.Thread(target=read_by_httpx_sse, args=("numbers",)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
