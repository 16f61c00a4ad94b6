"""`manage.py cluster NAME`: one task cluster, as `manage.py work` runs it."""

import os
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django_q.cluster import Cluster
from django_q.conf import Conf

from config.processes import end_with_parent
from integrations.work import CLUSTERS


class Command(BaseCommand):
    help = "Run one task cluster, named by Q_CLUSTER_NAME too; `work` starts it, watches it, and takes it with it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=CLUSTERS)

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if name != Conf.CLUSTER_NAME:
            # It is read when django-q is imported, so that an argument comes too late.
            raise CommandError(f"Set Q_CLUSTER_NAME={name} in the environment, too.")
        # Without its watchdog nobody would notice that it froze; what is cut off is claimed again.
        end_with_parent(lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
        Cluster().start()
