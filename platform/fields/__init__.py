"""The fields room: what a field type is, and the types that come with the platform."""

from ratoon.platform.fields.address import AddressType
from ratoon.platform.fields.autonumber import AutonumberType, NumberFormat
from ratoon.platform.fields.base import OPERATORS, FieldSpec, FieldType, FieldTypes, Option, Part
from ratoon.platform.fields.boolean import BooleanType
from ratoon.platform.fields.currency import CurrencyType
from ratoon.platform.fields.date import DateType
from ratoon.platform.fields.datetime import DatetimeType
from ratoon.platform.fields.decimal import DecimalType
from ratoon.platform.fields.duration import DurationType
from ratoon.platform.fields.email import EmailType
from ratoon.platform.fields.file import FileType
from ratoon.platform.fields.formula import FormulaType
from ratoon.platform.fields.geolocation import GeolocationType
from ratoon.platform.fields.hierarchy import HierarchyType
from ratoon.platform.fields.id import IdType
from ratoon.platform.fields.image import ImageType
from ratoon.platform.fields.integer import IntegerType
from ratoon.platform.fields.json import JsonType
from ratoon.platform.fields.lookup import LookupType
from ratoon.platform.fields.many_to_many import ManyToManyType
from ratoon.platform.fields.master_detail import MasterDetailType
from ratoon.platform.fields.multipicklist import MultipicklistType
from ratoon.platform.fields.percent import PercentType
from ratoon.platform.fields.phone import PhoneType
from ratoon.platform.fields.picklist import PicklistType, inactive_values
from ratoon.platform.fields.polymorphic import PolymorphicType
from ratoon.platform.fields.richtext import RichtextType
from ratoon.platform.fields.rollup import RollupType
from ratoon.platform.fields.secret import SecretType
from ratoon.platform.fields.stage import StageType
from ratoon.platform.fields.text import TextType
from ratoon.platform.fields.textarea import TextareaType
from ratoon.platform.fields.time import TimeType
from ratoon.platform.fields.url import UrlType
from ratoon.platform.fields.user import UserType

__all__ = [
    "OPERATORS",
    "FieldSpec",
    "FieldType",
    "FieldTypes",
    "NumberFormat",
    "Option",
    "Part",
    "builtin_types",
    "inactive_values",
]


def builtin_types() -> FieldTypes:
    """The types that come with the platform, in the order an admin is offered them."""
    return FieldTypes(
        kind()
        for kind in (
            *(TextType, TextareaType, RichtextType, EmailType, PhoneType, UrlType),
            *(IntegerType, DecimalType, CurrencyType, PercentType, BooleanType),
            *(DateType, DatetimeType, TimeType, DurationType),
            *(PicklistType, MultipicklistType, StageType, AutonumberType),
            *(LookupType, MasterDetailType, PolymorphicType, ManyToManyType, HierarchyType, UserType),
            *(FormulaType, RollupType),
            *(AddressType, GeolocationType, FileType, ImageType, JsonType, SecretType, IdType),
        )
    )
