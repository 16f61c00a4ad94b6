"""The machine that works on channels in batches of calls: threads, fair shares, quotas, and what an error holds back.

What is done with a channel's rows is a job's affair: see Job in lane.py.
"""
