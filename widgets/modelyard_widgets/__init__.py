"""Panels of modelyard's results for notebook pages: plain ES modules, no build step, no network."""
