"""Invented patients, services and places of Brazilian clinics, the same for the same number."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

GIVEN_NAMES = (
    *("Ana Beatriz", "João Pedro", "Maria Eduarda", "Luís Otávio", "Conceição", "Antônio", "Júlia", "Cauã"),
    *("Heloísa", "Inácio", "Letícia", "Mário Sérgio", "Natália", "Otávio", "Patrícia", "Raíssa", "Tomás"),
    *("Úrsula", "Vinícius", "Yasmin", "Zélia", "Érica", "Gonçalo", "Flávia"),
)
FAMILY_NAMES = (
    *("da Conceição", "de Araújo Lima", "Gonçalves", "dos Anjos", "Magalhães", "Simões", "Brandão", "Falcão"),
    *("Guimarães", "Assunção", "Tavares", "Frazão", "Galvão", "Leão", "Queirós", "Ramalho", "Sampaio"),
    *("Vilaça", "Ximenes", "Aragão", "Bulhões", "Castanho", "D’Ávila"),
)
AREA_CODES = (11, 21, 31, 41, 48, 51, 61, 71, 81, 85)


@dataclass(frozen=True)
class Service:
    id: str
    name: str
    wish: str
    preparation: str
    minutes: int
    price_cents: int


SERVICES = (
    Service(
        "srv-clareamento",
        "Clareamento dental a laser",
        "Quero clarear os dentes antes do meu casamento em março, sem sentir muita sensibilidade",
        "Evite café, vinho e molhos escuros nas 48 horas anteriores e escove bem os dentes ao sair de casa.",
        60,
        129_000,
    ),
    Service(
        "srv-limpeza-pele",
        "Limpeza de pele profunda",
        "Tenho pele oleosa com cravos e nunca fiz limpeza com profissional; gostaria de uma avaliação",
        "Suspenda ácidos e esfoliantes por cinco dias e venha sem maquiagem; traga seus óculos de sol.",
        75,
        28_000,
    ),
    Service(
        "srv-cardio",
        "Consulta de cardiologia com eletrocardiograma",
        "Meu pai sente palpitações à noite e o clínico pediu avaliação do coração o quanto antes",
        "Traga os exames anteriores e a lista de medicações; não é necessário jejum para este exame.",
        40,
        45_000,
    ),
    Service(
        "srv-fisio",
        "Avaliação de fisioterapia ortopédica",
        "Operei o joelho há três semanas e preciso começar a fisioterapia perto da estação",
        "Use roupa confortável e traga o laudo da cirurgia com as imagens da ressonância.",
        50,
        19_000,
    ),
    Service(
        "srv-harmonizacao",
        "Harmonização facial",
        "Vi o trabalho da doutora no Instagram e queria saber preço e se dá para parcelar no cartão",
        "Não tome anti-inflamatórios por três dias, salvo orientação médica, e venha bem alimentado.",
        90,
        218_000,
    ),
)
UNITS = (
    ("unidade-paulista", "Av. Paulista, 1578, conj. 1204, Bela Vista, São Paulo - SP, 01310-200"),
    ("unidade-pinheiros", "R. dos Pinheiros, 870, sala 31, Pinheiros, São Paulo - SP, 05422-001"),
    ("unidade-tatuape", "R. Tuiuti, 2100, 8º andar, Tatuapé, São Paulo - SP, 03307-000"),
)
PROFESSIONALS = (
    ("prof-lourenco", "Dra. Inês Lourenço Brandão"),
    ("prof-falcao", "Dr. Otávio Falcão"),
    ("prof-simoes", "Dra. Raíssa Simões d’Ávila"),
    ("prof-assuncao", "Dr. Tomás Assunção"),
)


@dataclass(frozen=True)
class Person:
    """Somebody invented: `number` decides all of it."""

    number: int

    @property
    def name(self) -> str:
        return (
            f"{GIVEN_NAMES[self.number % len(GIVEN_NAMES)]} {FAMILY_NAMES[self.number % len(FAMILY_NAMES)]}"
        )

    @property
    def phone(self) -> str:
        """A Brazilian mobile, E.164, of a range that no operator gives out."""
        return f"+55{AREA_CODES[self.number % len(AREA_CODES)]}900{self.number % 1_000_000:06d}"

    @property
    def email(self) -> str:
        plain = unicodedata.normalize("NFKD", self.name.replace("’", "")).encode("ascii", "ignore").decode()
        return f"{plain.lower().replace(' ', '.')}.{self.number}@exemplo.com.br"

    @property
    def wanted(self) -> Service:
        return SERVICES[self.number % len(SERVICES)]
