"""The frame of the read API: who may ask, how often, how pages, filters, errors and the description work.

What is read stands in each app's `api.py`.
"""
