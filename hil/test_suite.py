"""The suite that is shipped as `neuromorph.testing`, on boards: ``pytest hil``, ``pytest hil --nm-target all``."""

from neuromorph.testing.test_alive import *  # noqa: F403
from neuromorph.testing.test_conformance import *  # noqa: F403
from neuromorph.testing.test_digits import *  # noqa: F403
from neuromorph.testing.test_link import *  # noqa: F403
from neuromorph.testing.test_long import *  # noqa: F403
from neuromorph.testing.test_power import *  # noqa: F403
