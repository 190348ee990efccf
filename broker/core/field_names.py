"""What the fields of the sources' answers are called on a form, in both languages."""

from __future__ import annotations

from broker.core.catalog import Text

_NAMES: dict[str, tuple[str, str]] = {
    # people
    "holder_name": ("姓名（名称）", "Name"),
    "holder_number": ("证件号码（统一社会信用代码）", "Identity number or credit code"),
    "sex": ("性别", "Sex"),
    "birth_date": ("出生日期", "Date of birth"),
    "death_date": ("死亡日期", "Date of death"),
    "life_status": ("生存状态", "Vital status"),
    "address": ("住址（住所）", "Address"),
    "occupation": ("职业（工种）", "Occupation"),
    "employer": ("工作单位", "Employer"),
    "mother_name": ("母亲姓名", "Mother's name"),
    "father_name": ("父亲姓名", "Father's name"),
    "spouse_name": ("配偶姓名", "Spouse's name"),
    "spouse_number": ("配偶证件号码", "Spouse's identity number"),
    "relation": ("与户主关系", "Relation to the head of household"),
    "household_number": ("户号", "Household number"),
    "number_match": ("证件号码是否一致", "Whether the number agrees"),
    "name_match": ("姓名是否一致", "Whether the name agrees"),
    "cremated_on": ("火化日期", "Date of cremation"),
    "retired_on": ("退休日期", "Date of retirement"),
    "retired_status": ("退休状态", "Retirement status"),
    "employment_status": ("就业状态", "Employment status"),
    "insured_status": ("参保状态", "Insurance status"),
    "insured_count": ("参保人数", "Number of insured persons"),
    "months_paid": ("累计缴费月数", "Months paid"),
    "difficulty_status": ("困难身份", "Recognised hardship"),
    # companies
    "legal_representative": ("法定代表人（负责人）", "Legal representative"),
    "net_profit": ("净利润", "Net profit"),
    "cancelled_on": ("注销日期", "Date of deregistration"),
    # certificates
    "certificate_number": ("证照编号", "Certificate number"),
    "approval_number": ("批准文号", "Approval number"),
    "approved_on": ("批准日期", "Date of approval"),
    "issued_on": ("发证日期", "Date of issue"),
    "valid_from": ("有效期起", "Valid from"),
    "valid_until": ("有效期止", "Valid until"),
    "registered_on": ("登记日期", "Date of registration"),
    "status": ("状态", "Status"),
    "state": ("状态", "State"),
    "category": ("类别（范围）", "Category"),
    "grade": ("等级", "Grade"),
    "period": ("期间", "Period"),
    "award_number": ("证书编号", "Award number"),
    "policy_number": ("保险单号", "Policy number"),
    "voucher_number": ("凭证号码", "Voucher number"),
    # property
    "owner_name": ("权利人", "Owner"),
    "buyer_name": ("买受人", "Buyer"),
    "seller_name": ("出卖人", "Seller"),
    "location": ("坐落", "Location"),
    "title_number": ("不动产权证号", "Title number"),
    "right_kind": ("权利类型", "Kind of right"),
    "house_count": ("住房套数", "Number of homes"),
    "contract_number": ("合同编号", "Contract number"),
    "vehicle_number": ("车牌号码", "Vehicle number"),
    # taxes, customs, projects
    "paid_on": ("缴款日期", "Date of payment"),
    "paid_until": ("缴至日期", "Paid until"),
    "invoice_number": ("发票号码", "Invoice number"),
    "clearance_number": ("清税证明编号", "Tax clearance number"),
    "cleared_on": ("清税日期", "Date of tax clearance"),
    "declaration_number": ("报关单号", "Customs declaration number"),
    "exported_on": ("出口日期", "Date of export"),
    "project_code": ("项目代码", "Project code"),
    "project_name": ("项目名称", "Project name"),
    "contractor": ("施工单位", "Contractor"),
}
FIELD_NAMES: dict[str, Text] = {field: {"zh": zh, "en": en} for field, (zh, en) in _NAMES.items()}


def field_name(field: str) -> Text:
    """A field in plain words; one that the list has newly invented stands for itself."""
    return FIELD_NAMES.get(field, {"zh": field, "en": field.replace("_", " ")})
