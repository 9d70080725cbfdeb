from .companion import Companion as Companion
