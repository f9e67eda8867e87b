"""What the public sets say about their rows, in this project's words. A label that is not plain is left out (None)."""

from typing import Final

from classifiers.types import Complexity, TaskType

# CommonstackAI/UncommonRoute: a vendor's idea of the request's form.
TIERS: Final[dict[str, Complexity]] = {
    "SIMPLE": "simple",
    "MEDIUM": "moderate",
    "COMPLEX": "complex",
    "REASONING": "complex",
    # LiveCodeBench: contest sites call them so; even the easy ones are programs with hidden tests.
    "easy": "moderate",
    "medium": "complex",
    "hard": "complex",  # also every row of Arena-Hard
}

UNCOMMONROUTE: Final[dict[str, tuple[TaskType | None, str | None]]] = {
    "agentic-task": (None, "code"),
    "algorithm-proof": ("other", "math"),
    "architecture": ("generation", "software_design"),
    "brainstorming": ("generation", "general"),
    "classification": ("other", "extraction"),
    "code-review": ("code_review", "code"),
    "code-snippet-qa": ("explanation", "code"),
    "comparison": ("explanation", "general"),
    "complex-code": ("generation", "code"),
    "creative": ("generation", "writing"),
    "data-analysis": ("generation", "code"),
    "debugging": ("debugging", "code"),
    "definition": ("explanation", "general"),
    "documentation": ("generation", "writing"),
    "edge-noise": ("other", "general"),
    "explanation": ("explanation", "general"),
    "extraction": ("other", "extraction"),
    "factual-qa": ("explanation", "general"),
    "formal-logic": ("other", "math"),
    "formal-proof": ("other", "math"),
    "game-theory": ("other", "math"),
    "greeting": ("other", "general"),
    "infrastructure": ("generation", "software_design"),
    "logic-puzzle": ("other", "logic"),
    "math-derivation": ("other", "math"),
    "math-word-problem": ("other", "math"),
    "migration": ("generation", "software_design"),
    "ml-pipeline": ("generation", "software_design"),
    "performance": (None, "code"),
    "rewrite": ("generation", None),
    "security-analysis": (None, "software_design"),
    "simple-code": ("generation", "code"),
    "structured-output": ("generation", "extraction"),
    "summary": ("other", "summarization"),
    "system-design": ("generation", "software_design"),
    "testing": ("generation", "code"),
    "translation": ("other", "translation"),
}

ARENA: Final[dict[str, tuple[TaskType | None, str | None]]] = {
    "coding": (None, "code"),
    "math": ("other", "math"),
    "creative_writing": ("generation", "writing"),
}

# lmarena's MT-bench and Vicuna questions.
MTBENCH: Final[dict[str, tuple[TaskType | None, str | None]]] = {
    "coding": ("generation", "code"),
    "writing": ("generation", "writing"),
    "roleplay": ("generation", "writing"),
    "extraction": ("other", "extraction"),
    "math": ("other", "math"),
    "reasoning": ("other", "logic"),
    "fermi": ("other", "math"),
    "stem": ("explanation", None),
    "humanities": ("explanation", None),
    "knowledge": ("explanation", "general"),
    "generic": ("explanation", "general"),
    "common-sense": ("explanation", "general"),
}

LLMROUTER: Final[dict[str, tuple[TaskType | None, str | None]]] = {
    "agentverse-logicgrid": ("other", "logic"),
    "agentverse-mgsm": ("other", "math"),
    "arc_challenge": ("other", "science"),
    "commongen": ("generation", "word_lists"),
    "commonsense_qa": ("other", "commonsense"),
    "gpqa": ("other", None),
    "gsm8k": ("other", "math"),
    "human_eval": ("generation", "code"),
    "math": ("other", "math"),
    "mbpp": ("generation", "code"),
    "mmlu": ("other", None),
    "natural_qa": ("explanation", "trivia"),
    "openbook_qa": ("other", "science"),
    "trivia_qa": ("explanation", "trivia"),
}

# Subjects of MMLU and MMLU-Pro.
SUBJECTS: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "abstract_algebra", "college_mathematics", "elementary_mathematics", "formal_logic",
            "high_school_mathematics",
            "high_school_statistics", "math",
        ),
        "math",
    ),
    **dict.fromkeys(("astronomy", "college_physics", "conceptual_physics", "high_school_physics", "physics"),
        "physics"),
    **dict.fromkeys(("college_chemistry", "high_school_chemistry", "chemistry"), "chemistry"),
    **dict.fromkeys(("college_biology", "high_school_biology", "biology"), "biology"),
    **dict.fromkeys(
        (
            "anatomy", "clinical_knowledge", "college_medicine", "human_aging", "human_sexuality",
            "medical_genetics", "nutrition",
            "professional_medicine", "virology", "health",
        ),
        "medicine",
    ),
    **dict.fromkeys(("international_law", "jurisprudence", "professional_law", "law"), "law"),
    **dict.fromkeys(
        ("college_computer_science", "computer_security", "high_school_computer_science", "machine_learning",
        "computer science"),
        "computer_science",
    ),
    **dict.fromkeys(("electrical_engineering", "engineering"), "engineering"),
    **dict.fromkeys(("econometrics", "high_school_macroeconomics", "high_school_microeconomics",
        "economics"), "economics"),
    **dict.fromkeys(("business_ethics", "management", "marketing", "professional_accounting", "business"), "business"),
    **dict.fromkeys(
        ("high_school_european_history", "high_school_us_history", "high_school_world_history", "prehistory",
        "history"), "history"
    ),
    **dict.fromkeys(("high_school_psychology", "professional_psychology", "psychology"), "psychology"),
    **dict.fromkeys(
        ("logical_fallacies", "moral_disputes", "moral_scenarios", "philosophy", "world_religions"), "philosophy"
    ),
    **dict.fromkeys(
        ("high_school_geography", "high_school_government_and_politics", "public_relations",
        "security_studies", "sociology", "us_foreign_policy"),
        "society",
    ),
    **dict.fromkeys(("global_facts", "miscellaneous", "other"), "knowledge"),
}  # fmt: skip

# Beginnings of RouterArena's data set names.
ROUTERARENA: Final[tuple[tuple[str, TaskType | None, str | None], ...]] = (
    ("LiveCodeBench", "generation", "code"),
    ("PubMedQA", "other", "medicine"),
    ("MedMCQA", "other", "medicine"),
    ("WMT19", "other", "translation"),
    ("NarrativeQA", "other", "reading"),
    ("SuperGLUE-RC", "other", "reading"),
    ("SuperGLUE-QA", "other", "reading"),
    ("SuperGLUE-ClozeTest", "other", "reading"),
    ("OpenTDB", "other", "trivia"),
    ("QANTA", "other", "trivia"),
    ("MATH", "other", "math"),
    ("MathQA", "other", "math"),
    ("AIME", "other", "math"),
    ("AsDiv", "other", "math"),
    ("GSM8K", "other", "math"),
    ("FinQA", "other", "business"),
    ("SocialiQA", "other", "commonsense"),
    ("Ethics", "other", "philosophy"),
)

# Sets whose rows are closed questions, judged by what models solved; of LLMRouter's tasks, these.
EXAM_SETS: Final = frozenset(
    {"empirical_cheapest_sufficient", "routellm_mmlu", "routellm_gsm8k", "mmlu_pro", "zeroeval_gsm",
        "zeroeval_math_l5", "zeroeval_crux"}
)  # fmt: skip
EXAM_TASKS: Final = frozenset(
    {"agentverse-logicgrid", "agentverse-mgsm", "arc_challenge", "commonsense_qa", "gpqa", "gsm8k", "math",
        "mmlu", "openbook_qa"}
)  # fmt: skip
OPEN_SETS: Final = frozenset(
    {"uncommonroute", "arena_hard", "livecodebench_difficulty", "mtbench_vicuna", "routellm_mtbench"}
)

# Which models stand for "cheap" and "dear" when the gain of a dear one is learnt; broken ones are left out.
CHEAP_AND_DEAR: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "routellm_mmlu": (("mixtral-8x7b-instruct",), ("gpt-4-1106-preview",)),
    "routellm_gsm8k": (("mixtral-8x7b-instruct",), ("gpt-4-1106-preview",)),
    "routerarena_sub10": (("claude-3-haiku-20240307",), ("gemini-2.0-flash-001",)),
    "llmrouter_uiuc": (
        ("mistral-7b-instruct-v0.3", "qwen2.5-7b-instruct", "gemma-2-9b-it", "llama-3.1-8b-instruct"),
        ("llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"),
    ),
    "mmlu_pro": (
        (
            "Meta-Llama-3_1-8B-Instruct", "Mixtral-8x7B-Instruct-v0.1", "Mistral-7B-Instruct-v0.2",
            "Phi-3-mini-4k-instruct",
            "Qwen1.5-7B-Chat", "c4ai-command-r-v01",
        ),
        ("gemini-1.5-pro-002", "gemini-1.5-flash-002", "Meta-Llama-3_1-70B-Instruct", "DeepSeek-Coder-V2"),
    ),
    "zeroeval_gsm": (
        ("Mixtral-8x7B-Instruct-v0.1", "Yi-1.5-9B-Chat", "gemma-2-9b-it", "gpt-3.5-turbo-0125",
        "Meta-Llama-3-8B-Instruct"),
        ("gpt-4o-2024-05-13", "claude-3-5-sonnet-20241022", "o1-mini-2024-09-12", "Mistral-Large-2"),
    ),
    "zeroeval_math_l5": (
        ("gpt-4o-mini-2024-07-18", "Meta-Llama-3.1-8B-Instruct", "gemma-2-9b-it", "gpt-3.5-turbo-0125",
        "claude-3-haiku-20240307"),
        ("o1-mini-2024-09-12", "gpt-4o-2024-05-13", "gemini-1.5-pro-exp-0827", "claude-3-5-sonnet-20241022"),
    ),
    "zeroeval_crux": (
        ("gpt-3.5-turbo-0125", "Meta-Llama-3.1-8B-Instruct", "gemma-2-9b-it", "claude-3-haiku-20240307",
        "Mixtral-8x7B-Instruct-v0.1"),
        ("o1-mini-2024-09-12", "gpt-4o-2024-05-13", "claude-3-5-sonnet-20241022", "gemini-1.5-pro-exp-0827"),
    ),
    "empirical_cheapest_sufficient": (("small",), ("large",)),
}  # fmt: skip

# Open tasks have no label of their form, but outcomes bound it: simple, moderate, complex.
OPEN_TASKS: Final = frozenset({"mbpp", "human_eval", "natural_qa", "trivia_qa"})
MTBENCH_PAIR: Final = ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")
MTBENCH_GAP: Final = 0.15  # of a judge's grade, 0 to 1
MOST_SOLVED: Final = 0.5
CHEAP_DID_WELL: Final = (0.4, 0.5, 0.1)
CHEAP_FELL_SHORT: Final = (0.1, 0.5, 0.4)

# Closed questions of which only two groups of models are known.
BOUNDED_BY_OUTCOMES: Final = frozenset({"llmrouter_uiuc", "routellm_mmlu", "routellm_gsm8k"})
CHEAP_SOLVED: Final = (0.8, 0.2, 0.0)
DEAR_SOLVED: Final = (0.0, 0.5, 0.5)
NONE_SOLVED: Final = (0.0, 0.2, 0.8)

# What a field of the lexicon says about a request, by head.
MEANINGS: Final[dict[str, dict[str, str]]] = {
    "domain": {
        "@code": "code",
        "@writing": "writing",
        "@math": "math",
        "@translation": "translation",
        "@summary": "summarization",
        "@extraction": "extraction",
        "@medicine": "medicine",
        "@law": "law",
    },
    "task_type": {
        "@debugging": "debugging",
        "@review": "code_review",
        "@making": "generation",
        "@explaining": "explanation",
    },
}
