"""The load process: prepares the clip and its reference pass, deploys, warms up, drives, collects."""
