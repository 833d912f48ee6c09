"""Reads coded headers: what streams say of their pictures, their order and their references."""
