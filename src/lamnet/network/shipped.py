"""The weights that ship under the names they had before they moved to the core."""

from lamnet.core.shipped import TERMS as TERMS
from lamnet.core.shipped import VARIANTS as VARIANTS
from lamnet.core.shipped import Shipped as Shipped
from lamnet.core.shipped import Variant as Variant
from lamnet.core.shipped import called as called
from lamnet.core.shipped import is_name as is_name
from lamnet.core.shipped import parted as parted
from lamnet.core.shipped import path_of as path_of
from lamnet.core.shipped import shipped as shipped
from lamnet.core.shipped import shipped_names as shipped_names
from lamnet.core.shipped import shipped_path as shipped_path
