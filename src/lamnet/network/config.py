"""The configuration under the name it had before it moved to the core."""

from lamnet.core.config import EDGE as EDGE
from lamnet.core.config import RGB_MEAN as RGB_MEAN
from lamnet.core.config import SIZES as SIZES
from lamnet.core.config import LAMNetConfig as LAMNetConfig
