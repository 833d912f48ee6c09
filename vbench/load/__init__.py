"""The load process: prepares the clip and its reference, deploys, warms up, sends requests, reports."""
